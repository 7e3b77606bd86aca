"""The figures and tables of a comparison of models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from llmaudit.audit import Bars, Curve, Curves, Figure, Intervals, Panel, Table
from llmaudit.fidelity.sizes import Size
from llmaudit.fidelity.windows import Reading
from llmaudit.types import Estimate

__all__ = ["figures", "tables"]

Estimates = Mapping[str, Estimate]
Cells = tuple[str | float | int | None, ...]

_WORST = 10
_SUMMARY = {
    "kl_mean": "mean KL",
    "kl_p99": "KL, 99th percentile",
    "top1_agreement": "same top token",
    "log_perplexity_ratio": "ln perplexity ratio",
    "perplexity": "perplexity",
    "bits_per_byte": "bits per byte",
    "flips": "flips",
    "accuracy": "accuracy",
    "first_divergence": "tokens before parting",
}


def figures(estimates: Estimates, variants: Mapping[str, bool]) -> tuple[Figure, ...]:
    """Damage over bits per weight, divergence by variant, flips by variant; `variants`: name -> whether simulated."""
    found: list[Figure] = []
    if "kl_mean" in estimates:
        rows = tuple(_row(name, estimates[f"kl_mean.{name}"]) for name in variants)
        found.append(Intervals("Divergence from the reference", "mean KL, nats per token", rows))
        if curves := _over_bits(estimates, variants):
            found.append(curves)
    if "flips" in estimates:
        for metric, title in (
            ("flips", "Answers that become wrong or right"),
            ("any_flip", "Answers that change at all"),
        ):
            bars = tuple((name, _known(estimates[f"{metric}.{name}"].value)) for name in variants)
            found.append(Bars(title, "share of items", bars))
    return tuple(found)


def tables(
    estimates: Estimates, sizes: Mapping[str, Size | str], reading: Reading | None, variants: Sequence[str]
) -> tuple[Table, ...]:
    """What each variant loses, what it takes, and the documents that lose most."""
    found = [_summary(estimates, variants), _sizes(estimates, sizes)]
    if reading is not None:
        found.append(_documents(estimates, reading, variants))
    return tuple(found)


def _row(name: str, estimate: Estimate) -> tuple[str, float | None, float | None, float | None]:
    interval = estimate.interval
    return name, _known(estimate.value), interval.low if interval else None, interval.high if interval else None


def _over_bits(estimates: Estimates, variants: Mapping[str, bool]) -> Curves | None:
    """Curves of what is lost over the bits that a weight takes; rounded weights are a curve of their own."""
    bits = {name: estimates[f"bits_per_weight.{name}"].value for name in variants}
    known = {name: value for name, value in bits.items() if math.isfinite(value) and value > 0}
    if not known:
        return None
    families = {"simulated rounding": True, "as stored": False}
    groups = {
        title: sorted((name for name in known if variants[name] is simulated), key=known.__getitem__)
        for title, simulated in families.items()
    }
    panels = tuple(
        Panel(
            axis,
            tuple(
                Curve(
                    title,
                    tuple((known[name], *_row(name, estimates[f"{metric}.{name}"])[1:]) for name in names),
                    tuple(names),
                )
                for title, names in groups.items()
                if names
            ),
            zero=True,
        )
        for metric, axis in (("kl_mean", "mean KL, nats"), ("log_perplexity_ratio", "ln perplexity ratio, nats"))
    )
    return Curves("Damage over bits per weight", "bits per weight of the linear layers", panels, logarithmic=True)


def _summary(estimates: Estimates, variants: Sequence[str]) -> Table:
    metrics = {name: label for name, label in _SUMMARY.items() if name in estimates}
    rows: list[Cells] = []
    for variant in ("reference", *variants):
        values = [estimates.get(f"{metric}.{variant}") for metric in metrics]
        rows.append((variant, *(None if each is None else _known(each.value) for each in values)))
    note = "KL in nats, reference || variant. A divergence tells how much changed, not whether for the worse."
    return Table("The variants beside the reference", ("model", *metrics.values()), tuple(rows), note)


def _sizes(estimates: Estimates, sizes: Mapping[str, Size | str]) -> Table:
    rows: list[Cells] = []
    for model, size in sizes.items():
        names = ("stored_bytes", "bits_per_weight", "allocated_bytes", "load_seconds")
        values = [_known(estimates[f"{name}.{model}"].value) for name in names]
        speed = _known(size.speed) if isinstance(size, Size) else None
        how = size if isinstance(size, str) else "computed: simulated" if size.footprint.simulated else "measured"
        rows.append((model, *values, speed, how))
    note = (
        "Stored: all tensors, scales included; of simulated rounding, what it would take. Allocated: really held in"
        " memory. Seconds and tokens per second come from one pass each: they are no benchmark."
    )
    columns = (
        "model",
        "stored bytes",
        "bits per weight",
        "allocated bytes",
        "seconds to load",
        "tokens per second",
        "sizes",
    )
    return Table("What the variants take", columns, tuple(rows), note)


def _documents(estimates: Estimates, reading: Reading, variants: Sequence[str]) -> Table:
    divergences = {name: estimates[f"kl_mean.{name}"].cluster_values for name in variants}
    worst = {
        cluster: max((values.get(cluster, math.nan) for values in divergences.values() if values), default=math.nan)
        for cluster in reading.clusters
    }
    order = sorted((cluster for cluster in worst if math.isfinite(worst[cluster])), key=lambda each: -worst[each])
    rows = tuple((cluster, *(values.get(cluster) for values in divergences.values())) for cluster in order[:_WORST])
    return Table(
        "The documents that lose most", ("document", *divergences), rows, "Mean KL of a document, in nats per token."
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
