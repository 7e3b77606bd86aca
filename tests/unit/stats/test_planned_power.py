"""Properties of the power of a verdict."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmaudit.gaps import proportion_interval
from llmaudit.stats import Limit, mde, power_of_pass
from llmaudit.stats.planned_power import PassRule, clusters_to_pass, detectable, pass_power

RULES = st.builds(
    PassRule,
    st.builds(Limit, max=st.floats(0.05, 2)),
    st.booleans(),
    st.integers(1, 6),
    st.sampled_from([None, 1.0]),
)


@given(st.integers(10, 100), st.floats(0.01, 2), st.floats(-1, 1))
def test_one_limit_on_one_estimate_is_the_power_of_the_t_test(clusters: int, sd: float, value: float) -> None:
    expected = power_of_pass(value, 0.5, sd, clusters)
    assert pass_power(PassRule(Limit(max=0.5)), value, sd, clusters) == pytest.approx(expected, abs=2e-3)
    assert pass_power(PassRule(Limit(min=-0.5)), -value, sd, clusters) == pytest.approx(expected, abs=2e-3)
    assert detectable(PassRule(Limit(max=0.5)), sd, clusters) == pytest.approx(mde(sd, clusters), rel=2e-3)


@settings(max_examples=30, deadline=None)
@given(RULES, st.floats(0, 1), st.integers(10, 60))
def test_more_clusters_and_less_spread_never_hurt_a_design_with_a_chance(
    rule: PassRule, sd: float, clusters: int
) -> None:
    here = pass_power(rule, 0.0, sd, clusters)
    assert 0 <= here <= 1
    # Of a design that is more likely to fail than to pass, spread is luck: it makes the rare pass a little less rare.
    hoped = here - 1e-6 if here >= 0.5 else 0.0
    assert pass_power(rule, 0.0, sd, 2 * clusters) >= hoped
    assert pass_power(rule, 0.0, sd / 2, clusters) >= hoped


@settings(max_examples=30, deadline=None)
@given(RULES, st.floats(0.01, 1), st.integers(10, 60))
def test_a_limit_at_the_detectable_distance_is_passed_with_that_power(rule: PassRule, sd: float, clusters: int) -> None:
    distance = detectable(rule, sd, clusters)
    found = PassRule(Limit(max=distance), rule.signed, rule.facets, rule.reach)
    assert pass_power(found, 0.0, sd, clusters) == pytest.approx(0.80, abs=0.01)


def test_a_share_that_never_occurs_passes_as_soon_as_enough_clusters_have_none() -> None:
    rule = PassRule(Limit(max=0.05), signed=True, reach=1.0)
    clusters = clusters_to_pass(rule, 0.0, 0.0)
    assert clusters is not None
    for count, passes in ((clusters - 1, False), (clusters, True)):
        found = proportion_interval(np.zeros(count), 0.90)
        assert found is not None
        assert (found.high < 0.05) is passes
        assert pass_power(rule, 0.0, 0.0, count) == float(passes)


def test_what_no_design_can_decide() -> None:
    rule = PassRule(Limit(max=0.1))
    assert pass_power(rule, 0.0, 0.1, 9) == 0.0
    assert detectable(rule, 0.1, 9) == math.inf
    assert clusters_to_pass(rule, 0.1, 0.5) is None
    assert clusters_to_pass(rule, 0.2, 0.5) is None


@pytest.mark.parametrize(("sd", "facets"), [(-1.0, 1), (math.inf, 1), (1.0, 0)])
def test_nonsense_is_refused(sd: float, facets: int) -> None:
    with pytest.raises(ValueError, match="standard deviation"):
        pass_power(PassRule(Limit(max=1.0), facets=facets), 0.0, sd, 20)
    with pytest.raises(ValueError, match="power"):
        detectable(PassRule(Limit(max=1.0)), 1.0, 20, power=1.0)


def test_a_share_that_no_distance_makes_certain_enough_has_no_detectable_effect() -> None:
    rule = PassRule(Limit(max=0.1), signed=True, facets=190, reach=1.0, alpha=1e-9)
    assert detectable(rule, 0.2, 10) == math.inf
    assert detectable(PassRule(Limit(max=0.1), signed=True, reach=1.0), 0.2, 24) < 1
