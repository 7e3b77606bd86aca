"""What a steering audit measures, in words: known before anything runs."""

from __future__ import annotations

from dataclasses import replace

from llmaudit.audit import Metric
from llmaudit.steering.design import PLACEBO, SIDES, Design, strength_name

__all__ = ["BOUNDED", "GRIDS", "OFTEN_NONE", "TAU", "steering_metrics"]

#: Units whose values end at 1, and where they begin.
BOUNDED = {"proportion": -1.0, "share of prompts": 0.0}
#: Units of shares that vary from prompt to prompt, or are 0 in all of them: then a t interval has no width.
OFTEN_NONE = frozenset({"share of words", "share of 4-grams"})
#: The unit of a trend.
TAU = "tau-b"

#: Metrics with a facet per side and strength, each a change against neutral.
GRIDS = ("effect", "raw_effect", "leakage", "cost", "repetition_change", "length_change", "refusal_change")


def steering_metrics(design: Design, scorer: str, unit: str) -> dict[str, Metric]:
    """Every metric of an audit with this design and scorer."""
    at = strength_name(design.at)
    found: dict[str, Metric] = {}
    for name, metric in _by_side(scorer, unit, at, instructed=design.instructed).items():
        found[name] = replace(metric, description=f"{metric.description}; the worse side")
        found |= {f"{name}.{side}": metric for side in SIDES}
    for name, metric in _grids(scorer, unit).items():
        # The worse of two signed changes is the larger one, whatever its sign.
        better = "lower" if metric.better == "zero" else metric.better
        found[name] = replace(metric, description=f"{metric.description}; at {at}, the worse side", better=better)
        for side in SIDES:
            found |= {f"{name}.{design.condition(side, level)}": metric for level in design.levels}
    found |= _single(scorer, unit, at)
    overlap = Metric(
        "share of the list's words that the scorer's lexicon holds", "proportion", "lower", deterministic=True
    )
    found["lexicon_overlap"] = replace(overlap, description=f"{overlap.description}; the worst list")
    return found | {f"lexicon_overlap.{side}": overlap for side in (*SIDES, PLACEBO)}


def _by_side(scorer: str, unit: str, at: str, *, instructed: bool) -> dict[str, Metric]:
    per_strength = f"{unit} per unit of strength"
    found = {
        "trend": Metric(
            f"rank correlation of strength and masked {scorer}, in the intended direction, mean over prompts",
            TAU,
            "higher",
        ),
        "slope": Metric(f"slope of masked {scorer} over strength, in the intended direction", per_strength, "higher"),
        "raw_slope": Metric(f"slope of {scorer} over strength, in the intended direction", per_strength, "higher"),
        "wrong_way_share": Metric(
            f"share of prompts whose masked {scorer} moves against the intended direction", "share of prompts", "lower"
        ),
        "masked_share": Metric(
            f"share of the raw effect at {at} that masking the words takes away", "share of the raw effect", "lower"
        ),
        "effect_over_placebo": Metric(
            f"effect on masked {scorer} at {at} beyond that of the placebo list", unit, "higher"
        ),
    }
    if instructed:
        found["instruction_effect"] = Metric(
            f"change of masked {scorer} by a plain instruction, in the intended direction", unit, "higher"
        )
        found["effect_over_instruction"] = Metric(
            f"effect on masked {scorer} at {at} beyond that of a plain instruction", unit, "higher"
        )
    return found


def _grids(scorer: str, unit: str) -> dict[str, Metric]:
    return {
        "effect": Metric(f"change of masked {scorer} against neutral, in the intended direction", unit, "higher"),
        "raw_effect": Metric(f"change of {scorer} against neutral, in the intended direction", unit, "higher"),
        "leakage": Metric(
            "share of the answer's words that are of the list, minus that of neutral", "share of words", "lower"
        ),
        "cost": Metric("change of log-perplexity under the unsteered model", "nats per token", "lower"),
        "repetition_change": Metric("change of the share of repeated 4-grams", "share of 4-grams", "lower"),
        "length_change": Metric("change of the number of words", "words", "zero"),
        "refusal_change": Metric("change of the share of refusals", "proportion", "lower"),
    }


def _single(scorer: str, unit: str, at: str) -> dict[str, Metric]:
    return {
        "placebo_slope": Metric(
            f"slope of masked {scorer} over the strength of the placebo", f"{unit} per unit of strength", "zero"
        ),
        "placebo_cost": Metric(
            f"change of log-perplexity under the unsteered model by the placebo at {at}", "nats per token", "lower"
        ),
        "asymmetry": Metric(
            f"change of masked {scorer} at {at} by the positive side plus that by the negative side", unit, "zero"
        ),
    }
