"""What two models make of the same tokens: what an engine offers that can be compared, position by position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["TOP", "Baseline", "Comparable", "Footprint", "Lexical", "Positions", "Span", "compare_logits"]

#: Of how many most likely tokens the overlap is taken.
TOP = 5

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens that are read together, and those of them that are scored."""

    ids: tuple[int, ...]
    first: int
    """Index of the first token that is predicted and scored; at least 1, as nothing comes before the first one."""

    def size(self, predicted: int) -> int:
        """Bytes that the logits of so many tokens take for it, in float32."""
        return 4 * predicted * len(self.targets)

    @property
    def targets(self) -> tuple[int, ...]:
        """The tokens that are predicted."""
        return self.ids[self.first :]


@dataclass(frozen=True, slots=True)
class Positions:
    """How far a model is from the reference at every scored token of a span; every array has shape (tokens,)."""

    kl: Array
    """Kullback-Leibler divergence of the next-token distributions, reference || model, in nats; not negative."""
    reference_nll: Array
    """Negative log-probability of the token that comes, by the reference, in nats."""
    nll: Array
    """The same by the model."""
    same_top: Array
    """1 where both have the same most likely token, else 0."""
    shared_top: Array
    """Share of the reference's TOP most likely tokens that are among the model's, in [0, 1]."""
    clipped: int
    """At how many positions rounding made the divergence negative: counted as 0."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the weights of a model take."""

    stored_bytes: int
    """Of all tensors as they would be stored, scales included, a tensor that two names share counted once.

    Of weights that were read from a quantized file and are used as they are: as they are stored there.
    """
    allocated_bytes: int
    """Really held in memory, or on the accelerator."""
    parameters: int
    load_seconds: float
    matrices: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Matrix of a linear layer, the output head left out -> bytes that it takes, scales included."""
    weights: Mapping[str, int] = field(default_factory=dict, hash=False)
    """The same matrices -> their number of weights, where it can be known."""
    simulated: bool = False
    """Whether the sizes are computed: weights were rounded and are held as they were before."""


class Baseline(Protocol):
    """What the reference makes of some spans, ready to be compared with."""

    @property
    def spans(self) -> Sequence[Span]:
        """What was read."""

    @property
    def speed(self) -> float:
        """Tokens that the reference read per second; NaN as long as it has read none."""


@runtime_checkable
class Lexical(Protocol):
    """An engine with a vocabulary that it can name."""

    @property
    def vocabulary(self) -> str:
        """Names the vocabulary by its content: the predictions of two engines with the same one can be compared."""


@runtime_checkable
class Comparable(Lexical, Protocol):
    """An engine whose predictions can be held against those of another one with the same vocabulary."""

    @property
    def start(self) -> int:
        """The token that stands for "nothing yet"."""

    @property
    def predicted(self) -> int:
        """How many tokens it gives a probability."""

    def footprint(self) -> Footprint:
        """What the weights take."""

    def room(self) -> int:
        """Bytes that are free where the weights lie."""

    def park(self) -> None:
        """Free the weights; nothing but `resume` and `close` may follow."""

    def resume(self) -> None:
        """Load the weights again where they were parked. Raises ModelError."""

    def baseline(self, spans: Sequence[Span], disk: int) -> AbstractContextManager[Baseline]:
        """Read spans as the reference, and keep at most `disk` bytes of what it predicts in a temporary file.

        What does not fit there is read again for every comparison, for which the weights must not be parked. Raises
        EngineError where a span cannot be read.
        """

    def compare(self, baseline: Baseline) -> Iterator[tuple[Positions, float]]:
        """Read the spans of a baseline: yields (what differs, seconds that reading took) for each, in its order.

        Raises EngineError where the two do not predict the same number of tokens.
        """


def compare_logits(reference: Array, model: Array, targets: Sequence[int]) -> Positions:
    """Compare logits of shape (tokens, vocabulary) in float64, by the formulas as they are written.

    KL = sum over v of P(v) (ln P(v) - ln Q(v)), docs/statistics.md section 1.5. `targets` are the tokens that came.
    """
    log_p, log_q = _log_softmax(reference), _log_softmax(model)
    kl = (np.exp(log_p) * (log_p - log_q)).sum(axis=1)
    rows = np.arange(len(targets))
    best_p, best_q = (np.argsort(-logits, axis=1, kind="stable")[:, :TOP] for logits in (reference, model))
    shared = (best_p[:, :, None] == best_q[:, None, :]).any(axis=2).mean(axis=1)
    return Positions(
        kl=np.maximum(kl, 0.0),
        reference_nll=-log_p[rows, list(targets)],
        nll=-log_q[rows, list(targets)],
        same_top=(best_p[:, 0] == best_q[:, 0]).astype(np.float64),
        shared_top=shared,
        clipped=int((kl < 0).sum()),
    )


def _log_softmax(logits: Array) -> Array:
    centred: Array = logits - logits.max(axis=1, keepdims=True)
    normalised: Array = centred - np.log(np.exp(centred).sum(axis=1, keepdims=True))
    return normalised
