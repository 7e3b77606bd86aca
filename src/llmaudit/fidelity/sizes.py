"""What variants take: bytes as stored and as held, bits per weight, time to load and to read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from llmaudit.audit import Metric
from llmaudit.engines.comparing import Footprint
from llmaudit.facets import Facet, absent, declared, exact, faceted, once
from llmaudit.types import Estimate

__all__ = ["Size", "bits_per_weight", "size_estimates", "size_metrics"]

_ONCE = "measured once, on a machine that may do other work: this is no benchmark"
_METRICS: Mapping[str, Metric] = {
    "stored_bytes": Metric(
        "bytes of all tensors as they are stored, scales included", "bytes", "lower", deterministic=True
    ),
    "allocated_bytes": Metric("bytes really held in memory by the loaded model", "bytes", "lower", deterministic=True),
    "bits_per_weight": Metric(
        "bits that a weight of the linear layers takes, scales included, the output head left out",
        "bits",
        "lower",
        deterministic=True,
    ),
    "load_seconds": Metric("seconds to load the model, once", "seconds", "lower"),
}
_SPEED = Metric("tokens read per second over the reference's, in one pass", "ratio", "higher")


@dataclass(frozen=True, slots=True)
class Size:
    """What a model took."""

    footprint: Footprint
    speed: float
    """Tokens read per second; NaN where that was not measured."""


def size_metrics(variants: list[str], *, speed: bool) -> dict[str, Metric]:
    """Every metric of the weights; of the speed where documents are read."""
    found: dict[str, Metric] = {}
    for name, metric in _METRICS.items():
        found |= declared(name, metric, variants, "reference")
    return found | (declared("speed_ratio", _SPEED, variants) if speed else {})


def size_estimates(reference: Size, variants: Mapping[str, Size | str], *, speed: bool) -> dict[str, Estimate]:
    """Estimate; a variant that there is none of is a reason instead."""
    found: dict[str, Estimate] = {}
    for name, metric in _METRICS.items():
        facets = {
            variant: absent(size) if isinstance(size, str) else _facet(name, size, reference)
            for variant, size in variants.items()
        }
        found |= faceted(name, metric, facets, {"reference": _facet(name, reference, reference)})
    if speed:
        ratios = {
            variant: absent(size) if isinstance(size, str) else once(size.speed / reference.speed, _ONCE)
            for variant, size in variants.items()
        }
        found |= faceted("speed_ratio", _SPEED, ratios)
    return found


def bits_per_weight(footprint: Footprint, reference: Footprint) -> float:
    """Bits per weight over the matrices that are known by name; NaN where the models share none.

    A quantizer that hides its shapes has as many weights in a matrix as the reference has under the same name.
    """
    weights = {name: footprint.weights.get(name) or reference.weights.get(name, 0) for name in footprint.matrices}
    known = [name for name, count in weights.items() if count]
    if not known:
        return math.nan
    return 8 * sum(footprint.matrices[name] for name in known) / sum(weights[name] for name in known)


def _facet(name: str, size: Size, reference: Size) -> Facet:
    footprint = size.footprint
    if name == "load_seconds":
        return once(footprint.load_seconds, _ONCE)
    if name == "bits_per_weight":
        value = bits_per_weight(footprint, reference.footprint)
        return absent("the matrices of its linear layers are not known") if math.isnan(value) else exact(value, 1)
    details = {"simulated": float(footprint.simulated)}
    return exact(float(getattr(footprint, name)), footprint.parameters, details if name == "stored_bytes" else None)
