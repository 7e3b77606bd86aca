"""Next-token distributions at fixed contexts: their entropy as a sampler bends them, and matched entropies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmaudit.audit import Metric
from llmaudit.exhibits import Bars, Curve, Curves, Panel, Table
from llmaudit.stats.entropy import TEMPERATURES, bent, entropy, temperature_of_entropy
from llmaudit.types import Estimate, NextToken, NextTokens, Sample, Sampling

__all__ = [
    "View",
    "entropy_estimates",
    "entropy_metrics",
    "entropy_table",
    "matched_estimates",
    "matched_temperatures",
    "rise_figure",
    "top_figures",
    "views",
]

Array = NDArray[np.float64]

#: What the arithmetic of 50,000 probabilities may take off an entropy, in nats.
_ROUNDING = 1e-9
_RISE = "entropy_rise_check"
#: Contexts whose most likely tokens are drawn.
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class View:
    """What may come after one context."""

    context: str
    top: tuple[tuple[str, float], ...]
    """(token text, log-probability in nats), most likely first."""
    logprobs: Array
    """Shape (vocabulary,), in nats, at temperature 1."""


def views(samples: Sequence[Sample]) -> list[View]:
    """Return the contexts whose whole distribution is known."""
    return [
        View(sample.request.prompt, sample.response.top, np.array(sample.response.logprobs, dtype=np.float64))
        for sample in samples
        if isinstance(sample.request, NextToken)
        and isinstance(sample.response, NextTokens)
        and sample.response.logprobs
    ]


def matched_temperatures(seen: Sequence[View], targets: Sequence[float], *, top_k: int) -> dict[float, float]:
    """Return entropy in nats -> the temperature at which the contexts have it on average, for those that there are."""
    rows = [view.logprobs for view in seen]
    found = {target: temperature_of_entropy(rows, target, top_k=top_k) for target in targets}
    return {target: temperature for target, temperature in found.items() if not math.isnan(temperature)}


def entropy_metrics(levels: Sequence[str], targets: Sequence[float]) -> dict[str, Metric]:
    """Name what `entropy_estimates` and `matched_estimates` give. No direction of an entropy is the good one."""
    found = {
        f"entropy.{level}": Metric("mean entropy of the next token at the fixed contexts", "nats", "higher", True)  # noqa: FBT003
        for level in levels
    }
    found[_RISE] = Metric(
        "share of contexts whose entropy rises with the level, as a theorem has it: a check of the implementation",
        "proportion",
        "higher",
        deterministic=True,
    )
    for target in targets:
        found[f"matched_temperature.H{target}"] = Metric(
            f"temperature at which the mean next-token entropy is {target} nats",
            "temperature",
            "higher",
            True,  # noqa: FBT003
        )
    return found


def entropy_estimates(seen: Sequence[View], samplings: Mapping[str, Sampling], asked: int) -> dict[str, Estimate]:
    """Mean entropy per level, exact for these contexts, and the share of contexts where it rises from level to level.

    `samplings`: level -> how tokens are drawn there, in rising order. It must rise with the temperature, since
    dH/dT = Var(ln p)/T^3, and with top_p, since a token joins that is less likely than all before it: where it does
    not, the implementation is at fault. `asked` contexts were asked for.
    """
    metrics = entropy_metrics(list(samplings), ())
    table = _entropies(seen, samplings)
    lost = asked - len(seen)
    problem = _lost(len(seen), asked)
    found = {f"entropy.{level}": table[:, number] for number, level in enumerate(samplings)}
    rises = np.all(np.diff(table, axis=1) >= -_ROUNDING, axis=1)
    found[_RISE] = np.asarray(rises, dtype=np.float64)
    return {
        name: Estimate(
            name,
            float(values.mean()) if values.size else math.nan,
            None,
            metrics[name].unit,
            "higher",
            len(seen),
            len(seen),
            lost,
            deterministic=True,
            problem=problem,
            cluster_values={view.context: float(value) for view, value in zip(seen, values, strict=True)},
        )
        for name, values in found.items()
    }


def matched_estimates(
    found: Mapping[float, float], targets: Sequence[float], seen: int, asked: int
) -> dict[str, Estimate]:
    """The temperatures that were found at the contexts seen, of those asked for; for an entropy without one, why."""
    low, high = TEMPERATURES
    unreached = f"no temperature between {low:g} and {high:g} has this mean entropy at the contexts"
    lost = _lost(seen, asked)
    estimates = [
        Estimate(
            f"matched_temperature.H{target}",
            found.get(target, math.nan),
            None,
            "temperature",
            "higher",
            seen,
            seen,
            asked - seen,
            deterministic=True,
            problem=lost or (None if target in found else unreached),
        )
        for target in targets
    ]
    return {estimate.metric: estimate for estimate in estimates}


def entropy_table(seen: Sequence[View], samplings: Mapping[str, Sampling]) -> Table:
    """Entropy of every context at every level."""
    rows = zip((view.context for view in seen), _entropies(seen, samplings).tolist(), strict=True)
    note = (
        "In nats, of the whole vocabulary, after temperature, top-k and top-p. A rise from level to level is a theorem."
    )
    return Table("Next-token entropy by context", ("context", *samplings), tuple((c, *row) for c, row in rows), note)


def rise_figure(seen: Sequence[View], samplings: Mapping[str, Sampling], axis: str) -> Curves:
    """Entropy over the levels, one line per context."""
    table = _entropies(seen, samplings)
    curves = tuple(
        Curve(
            view.context, tuple((float(level), value, None, None) for level, value in zip(samplings, row, strict=True))
        )
        for view, row in zip(seen[:_SHOWN], table.tolist(), strict=False)
    )
    return Curves("Next-token entropy at fixed contexts", axis, (Panel("entropy, nats", curves),))


def top_figures(seen: Sequence[View]) -> list[Bars]:
    """The most likely next tokens of the first contexts, at temperature 1."""
    return [
        Bars(
            f"What comes next: {view.context}",
            "probability at temperature 1",
            tuple((repr(token), math.exp(logprob)) for token, logprob in view.top),
        )
        for view in seen[:_SHOWN]
    ]


def _lost(seen: int, asked: int) -> str | None:
    return f"{asked - seen} of {asked} contexts have no whole distribution" if seen < asked else None


def _entropies(seen: Sequence[View], samplings: Mapping[str, Sampling]) -> Array:
    """Entropy in nats, shape (contexts, levels)."""
    rows = [
        [entropy(bent(view.logprobs, s.temperature, top_k=s.top_k, top_p=s.top_p)) for s in samplings.values()]
        for view in seen
    ]
    return np.array(rows, dtype=np.float64).reshape(len(seen), len(samplings))
