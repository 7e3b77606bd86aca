"""Which answers show best what a variant changed: items whose answer flips, continuations that part first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from llmaudit.fidelity.choices import Answers, ChoiceParams
from llmaudit.types import Estimate, Generate, Sample, Score

__all__ = ["flip_evidence", "parting_evidence"]

#: How many items or prompts are shown, with an answer of each of the two models.
_SHOWN = 3

Evidence = dict[str, tuple[int, ...]]


def flip_evidence(
    items: Sequence[ChoiceParams],
    reference: Answers,
    variants: Mapping[str, Answers | str],
    samples: Sequence[Sample],
    estimates: Mapping[str, Estimate],
) -> Evidence:
    """Metric -> samples of the options that the reference and the variant chose, the reference's first."""
    places = {
        (str(each.request.factors["model"]), each.request.context, int(each.request.factors["option"])): place
        for place, each in enumerate(samples)
        if isinstance(each.request, Score)
    }
    found: Evidence = {}
    for name, answers in variants.items():
        if isinstance(answers, str):
            continue
        rows = zip(items, reference.chosen.tolist(), answers.chosen.tolist(), strict=True)
        changed = [(item, int(a), int(b)) for item, a, b in rows if not math.isnan(a + b) and a != b]
        kinds = {
            "flips": [row for row in changed if row[0].answer in row[1:]],
            "harmful_flips": [row for row in changed if row[0].answer == row[1]],
            "beneficial_flips": [row for row in changed if row[0].answer == row[2]],
            "any_flip": changed,
        }
        for metric, shown in kinds.items():
            pairs = (((("reference", item.question, a)), (name, item.question, b)) for item, a, b in shown[:_SHOWN])
            found[f"{metric}.{name}"] = tuple(places[key] for pair in pairs for key in pair)
    return found | _bare(found, estimates)


def parting_evidence(
    partings: Mapping[str, Mapping[str, int] | str], samples: Sequence[Sample], estimates: Mapping[str, Estimate]
) -> Evidence:
    """Metric -> samples of the continuations that part first, the reference's and the variant's in turn."""
    places = {
        (str(each.request.factors["model"]), each.request.prompt): place
        for place, each in enumerate(samples)
        if isinstance(each.request, Generate)
    }
    found: Evidence = {}
    for name, shared in partings.items():
        if isinstance(shared, str):
            continue
        first = sorted(shared, key=shared.__getitem__)[:_SHOWN]
        found[f"first_divergence.{name}"] = tuple(
            places[model, prompt] for prompt in first for model in ("reference", name)
        )
    return found | _bare(found, estimates)


def _bare(found: Evidence, estimates: Mapping[str, Estimate]) -> Evidence:
    """The bare metrics show what their worst facet shows."""
    bare: Evidence = {}
    for metric in {name.partition(".")[0] for name in found}:
        facets = [name for name in found if name.partition(".")[0] == metric]
        sign = 1.0 if estimates[metric].better == "lower" else -1.0
        bare[metric] = found[max(facets, key=lambda name: sign * estimates[name].value)]
    return bare
