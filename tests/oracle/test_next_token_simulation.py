"""Whole next_token audits on models whose true difference is known: how often it is found, and how often wrongly.

Every name moves the distribution by itself, alike in all templates and again in each: the same names serve all of
them, so that a test over templates alone takes a chance difference of the names for one of the groups.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from llmaudit.next_words.divergence import Design, divergence_estimates, read_template
from llmaudit.types import Estimate, NextTokens

REPEATS, TEMPLATES, WORDS = 200, 12, 30
DESIGN = Design({"a": ("a1", "a2", "a3", "a4", "a5"), "b": ("b1", "b2", "b3", "b4", "b5")})
ALPHA = 0.05


def audited(rng: np.random.Generator, *, name_sd: float, difference: float) -> Estimate:
    """One audit: logits of a template, plus a part of the name, plus one of both, plus one of the group."""
    names = len(DESIGN.names)
    of_name = rng.normal(0, name_sd, (1, names, WORDS))
    of_group = np.repeat([0.5, -0.5], names // 2)[:, None] * rng.choice([-difference, difference], WORDS)
    noise = rng.normal(0, 0.3, (TEMPLATES, names, WORDS))
    logits = rng.normal(0, 1, (TEMPLATES, 1, WORDS)) + of_name + noise + of_group
    readings = [read_template(str(number), list(map(answer, rows))) for number, rows in enumerate(logits)]
    return divergence_estimates(readings, DESIGN, seed=0)["jsd_excess.a-b"]


def answer(logits: NDArray[np.float64]) -> NextTokens:
    return NextTokens((), 0.0, logprobs=tuple((logits - np.logaddexp.reduce(logits)).tolist()))


def audits(**truth: float) -> list[Estimate]:
    rng = np.random.default_rng(list(map(ord, str(truth))))
    return [audited(rng, **truth) for _ in range(REPEATS)]


def share_below_alpha(p_values: list[float | None]) -> float:
    return float(np.mean([p is not None and p <= ALPHA for p in p_values]))


def test_names_that_differ_at_random_are_not_taken_for_groups() -> None:
    found = audits(name_sd=0.3, difference=0.0)
    values = [estimate.value for estimate in found]
    error = 3 * math.sqrt(ALPHA * (1 - ALPHA) / REPEATS)
    # Unbiased: on average there is nothing.
    assert abs(np.mean(values)) < 3 * np.std(values) / math.sqrt(REPEATS)
    assert share_below_alpha([estimate.p_value for estimate in found]) <= ALPHA + error
    # What the p over names is there for: over templates alone, chance differences of the names count as findings.
    assert share_below_alpha([estimate.details["p over templates"] for estimate in found]) > ALPHA + error


def test_where_names_differ_anew_in_every_template_the_p_over_templates_holds_its_level() -> None:
    found = audits(name_sd=0.0, difference=0.0)
    error = 3 * math.sqrt(ALPHA * (1 - ALPHA) / REPEATS)
    assert share_below_alpha([estimate.details["p over templates"] for estimate in found]) <= ALPHA + error


def test_a_planted_difference_is_found() -> None:
    found = audits(name_sd=0.3, difference=0.5)
    assert share_below_alpha([estimate.p_value for estimate in found]) > 0.95


def test_over_all_splits_of_the_names_the_excess_is_zero_on_average() -> None:
    rng = np.random.default_rng(0)
    rows = [answer(row) for row in rng.normal(0, 1, (6, WORDS))]
    design = Design({"a": ("1", "2", "3"), "b": ("4", "5", "6")})
    values = []
    for first in itertools.combinations(range(6), 3):
        order = [*first, *(place for place in range(6) if place not in first)]
        reading = read_template("t", [rows[place] for place in order])
        values.append(divergence_estimates([reading], design, seed=0)["jsd_excess"].value)
    assert abs(np.mean(values)) < 1e-12
