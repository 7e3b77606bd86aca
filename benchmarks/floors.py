"""What the machine allows: the least time that a job can take, by arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Floor", "Machine", "ModelSize", "generation_floor", "likelihood_floor"]


@dataclass(frozen=True, slots=True)
class Machine:
    """What was measured of the machine, with all of its threads."""

    bandwidth: float
    """Bytes read per second."""
    gemm: float
    """FLOP per second of a large matrix product, in the data type of the job."""

    def or_better(self, other: Machine) -> Machine:
        """The best of two measurements: what slows a machine down for a moment does not raise what it allows."""
        return Machine(max(self.bandwidth, other.bandwidth), max(self.gemm, other.gemm))

    def line(self, dtype: str) -> str:
        """The measurement for a reader."""
        reads, multiplies = f"{self.bandwidth / 1e9:.1f} GB/s", f"{self.gemm / 1e9:.0f} GFLOP/s"
        return f"machine: reads {reads}, multiplies matrices at {multiplies} in {dtype}"


@dataclass(frozen=True, slots=True)
class ModelSize:
    """What one token costs by the shape of the model."""

    matrix_parameters: int
    """Parameters that every token is multiplied with: all but an input embedding that is not the output head too."""
    bytes_per_parameter: int
    cache_bytes_per_token: int
    """Keys and values of one token in all layers."""

    @property
    def flop_per_token(self) -> int:
        """A multiplication and an addition per parameter; attention itself, small at these lengths, is left out."""
        return 2 * self.matrix_parameters


@dataclass(frozen=True, slots=True)
class Floor:
    """The least time per token."""

    seconds: float
    bound: str
    """What sets it."""

    def line(self, job: str, measured: float) -> str:
        """The floor beside what llmaudit takes, in seconds per token."""
        return (
            f"floor: {job} {self.seconds:.3g} s/token ({self.bound}), llmaudit {measured:.3g}"
            f" = {measured / self.seconds:.2g}x the floor"
        )


def generation_floor(machine: Machine, size: ModelSize, rows: int, context: float) -> Floor:
    """The floor of one new token per row.

    Every step reads the weights once for all rows and the cache of each row, `context` tokens long on average.
    """
    cache = rows * context * size.cache_bytes_per_token
    reading = (size.matrix_parameters * size.bytes_per_parameter + cache) / machine.bandwidth / rows
    multiplying = size.flop_per_token / machine.gemm
    if reading > multiplying:
        return Floor(reading, "set by reading weights and cache")
    return Floor(multiplying, "set by multiplying")


def likelihood_floor(machine: Machine, size: ModelSize) -> Floor:
    """The floor of one scored token: batches are large, so that reading the weights does not count."""
    return Floor(size.flop_per_token / machine.gemm, "set by multiplying")
