"""Whole steering audits on models whose true slope is known: how often the verdict is wrong, and how often it is right.

Prompts differ in their level and in their own slope; the answers are numbers, and their scorer reads them. Everything
between the answers and the verdict is the real code; what is compared at one strength alone is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from llmaudit import gaps
from llmaudit.audits.steering import Steering
from llmaudit.gaps import Cells
from llmaudit.stats import Limit, clopper_pearson, judge
from llmaudit.steering import estimates as steering_estimates
from llmaudit.steering.answers import masks_of, numbers_of
from llmaudit.steering.estimates import Trial
from llmaudit.steering.methods import METHODS
from llmaudit.steering.requests import condition_of, prompt_requests, pushes_of
from llmaudit.types import Completion, Estimate, Generate, Sample

ALPHA = 0.05
REPEATS = 300
LEVEL_SD, RESIDUAL_SD = 0.7, 1.0
PROMPTS, STRENGTHS = 20, (0, 1, 2, 3, 4)


class Number:
    """Reads the number that an answer is; the sentences by which a scorer's own reaction is shown have none."""

    name = "number"
    version = "1"
    unit = "points"
    description = "the number"
    sees_terms = False

    def score(self, texts: Sequence[str]) -> list[float]:
        return [float(text) if text[-1:].isdigit() else math.nan for text in texts]


@pytest.fixture(autouse=True)
def fewer_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    # Sign-flip p-values stand beside the verdict; they are simulated in test_stats_simulation.py.
    monkeypatch.setattr(steering_estimates, "sign_flip", lambda *_: 1.0)
    # The bound on what was never seen is the same in every audit here.
    monkeypatch.setattr(gaps, "clopper_pearson", cache(clopper_pearson))


def audit() -> Steering:
    params = {
        "kind": "steering",
        "prompts": [f"In town {number}, life is" for number in range(PROMPTS)],
        "words": {"positive": ["good"], "negative": ["bad"], "placebo": ["blue"]},
        "strengths": list(STRENGTHS),
        "samples": 1,
        "scorer": "number",
        "checks": {"trend": {"min": 0}},
    }
    scorers = {"number": Number()}
    return Steering(Steering.Params.model_validate(params, context={"scorers": scorers}), scorers=scorers)


def estimates(kind: Steering, rng: np.random.Generator, slope: float, slope_sd: float = 0.0) -> dict[str, Estimate]:
    """Run one audit on a model whose positive side rises by `slope` a step, and whose negative side falls by it."""
    params = kind.params
    pushes = pushes_of(params.design, METHODS["words"], [], None, None)
    level = dict(zip(params.all_prompts, rng.normal(0, LEVEL_SD, PROMPTS), strict=True))
    own = dict(zip(params.all_prompts, rng.normal(slope, slope_sd, PROMPTS), strict=True))
    samples = []
    for request in prompt_requests(params.prompts, pushes, params.sampling.sampling(), params.samples):
        assert isinstance(request, Generate)
        direction = {"positive": 1.0, "negative": -1.0}.get(str(request.factors["side"]), 0.0)
        push = direction * own[request.cluster] * float(request.factors["strength"])
        value = level[request.cluster] + push + rng.normal(0, RESIDUAL_SD)
        samples.append(Sample(request, Completion(f"{value:.6f}", 4, "length", request.prompt)))
    design = params.design
    conditions = [condition_of(sample) for sample in samples]
    cells = Cells.of([sample.request.cluster for sample in samples], conditions, design.conditions)
    numbers = numbers_of(samples, Number(), masks_of(params.words), {}, mask=True)
    return Trial(design, cells, numbers, kind.metrics, seed=0).over_strengths()


def error(rate: float) -> float:
    """Three Monte-Carlo standard errors of a rate."""
    return 3 * math.sqrt(rate * (1 - rate) / REPEATS)


def test_without_an_effect_a_trend_is_shown_at_most_as_often_as_alpha() -> None:
    kind, rng = audit(), np.random.default_rng(5)
    shown = {"trend.positive": 0, "trend.negative": 0, "trend": 0, "slope.positive": 0}
    pages = 0
    for _ in range(REPEATS):
        found = estimates(kind, rng, 0.0)
        for name in shown:
            shown[name] += judge(found[name], Limit(min=0.0)).verdict == "pass"
        page = found["trend.positive"].p_value
        pages += page is not None and page < ALPHA
    rates = {name: count / REPEATS for name, count in shown.items()}
    assert rates["trend.positive"] <= ALPHA + error(ALPHA)
    assert rates["trend.negative"] <= ALPHA + error(ALPHA)
    assert rates["slope.positive"] <= ALPHA + error(ALPHA)
    # Both sides must show it, and they share only their neutral answers.
    assert rates["trend"] <= ALPHA
    assert pages / REPEATS <= ALPHA + error(ALPHA)


def test_prompts_that_go_either_way_do_not_make_a_trend() -> None:
    # Steering moves every prompt, half of them the wrong way (Tan et al. 2024): the mean slope is 0.
    kind, rng = audit(), np.random.default_rng(6)
    found = [estimates(kind, rng, 0.0, slope_sd=0.5) for _ in range(REPEATS)]
    shown = sum(judge(each["trend.positive"], Limit(min=0.0)).verdict == "pass" for each in found)
    assert shown / REPEATS <= ALPHA + error(ALPHA)
    assert np.mean([each["wrong_way_share.positive"].value for each in found]) == pytest.approx(0.5, abs=0.03)


def test_a_true_trend_is_found_as_often_as_published_and_its_slope_is_covered() -> None:
    # docs/statistics.md, section 1.2: slope .2 a step, sd 1, 5 strengths, 20 prompts: power 83 %.
    kind, rng = audit(), np.random.default_rng(7)
    found = [estimates(kind, rng, 0.2) for _ in range(REPEATS)]
    pages = sum((each["trend.positive"].p_value or 1.0) < ALPHA for each in found) / REPEATS
    assert pages == pytest.approx(0.83, abs=error(0.83))
    shown = sum(judge(each["trend.positive"], Limit(min=0.0)).verdict == "pass" for each in found) / REPEATS
    # The verdict, an interval over the prompts' taus, has the power of the test that stands beside it.
    assert shown == pytest.approx(pages, abs=0.06)
    slopes = [each["slope.negative"] for each in found]
    assert np.mean([slope.value for slope in slopes]) == pytest.approx(0.2, abs=0.02)
    covered = sum(slope.interval is not None and slope.interval.low <= 0.2 <= slope.interval.high for slope in slopes)
    assert covered / REPEATS == pytest.approx(0.9, abs=error(0.9))
