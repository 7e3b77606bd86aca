"""Ratios of effects, by their definition and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from llmaudit.stats.fieller import signed_ratio_interval


def test_fiellers_interval_by_its_definition() -> None:
    # The set of ratios r for which a t test of numerator - r * denominator does not reject.
    rng = np.random.default_rng(1)
    under = rng.normal(1, 1, 20)
    over = 0.4 * under + rng.normal(0, 0.3, 20)
    found = signed_ratio_interval(over, under)
    assert found is not None
    assert (found.level, found.method) == (0.90, "Fieller on cluster means")
    for bound in (found.low, found.high):
        assert stats.ttest_1samp(over - bound * under, 0).pvalue == pytest.approx(0.10)
    assert found.low < over.mean() / under.mean() < found.high


def test_a_ratio_over_something_that_may_be_0_has_no_interval() -> None:
    rng = np.random.default_rng(2)
    under = rng.normal(0, 1, 20)
    assert abs(under.mean()) < under.std(ddof=1) / math.sqrt(20)
    assert signed_ratio_interval(under + 1, under) is None
    assert signed_ratio_interval([1, 2], [0, 0]) is None
    assert signed_ratio_interval([1], [1]) is None
    assert signed_ratio_interval([1, math.nan], [1, 1]) is None


def test_a_ratio_that_all_clusters_share_is_exact() -> None:
    found = signed_ratio_interval([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))


def test_what_makes_no_ratio() -> None:
    with pytest.raises(ValueError, match="one denominator per cluster"):
        signed_ratio_interval([1, 2], [1])
    with pytest.raises(ValueError, match="level"):
        signed_ratio_interval([1, 2], [1, 2], 90)
