"""Agreement coefficients: what must hold for any codes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from llmaudit.stats.agreement import cohen_kappa, krippendorff_alpha

CODES = st.lists(
    st.tuples(*(st.sampled_from([0.0, 1.0, 2.0, math.nan]) for _ in range(3))), min_size=1, max_size=12
).map(lambda rows: np.array(rows).T)


@given(CODES)
def test_alpha_knows_no_order_of_coders_units_or_names(codes: NDArray[np.float64]) -> None:
    expected = krippendorff_alpha(codes).value
    renamed = np.where(np.isnan(codes), codes, 7 - 3 * codes)
    for same in (codes[::-1], codes[:, ::-1], renamed):
        assert krippendorff_alpha(same).value == pytest.approx(expected, nan_ok=True)


@given(CODES)
def test_alpha_is_at_most_one_and_one_only_without_a_disagreement(codes: NDArray[np.float64]) -> None:
    found = krippendorff_alpha(codes)
    if not math.isnan(found.value):
        assert found.value <= 1
        assert (found.value == 1) == (found.disagreement == 0)


@given(CODES)
def test_a_unit_with_one_code_tells_nothing(codes: NDArray[np.float64]) -> None:
    lonely = np.full((len(codes), 1), math.nan)
    lonely[0] = 1
    more = krippendorff_alpha(np.hstack([codes, lonely]))
    assert more.value == pytest.approx(krippendorff_alpha(codes).value, nan_ok=True)
    assert more.units == krippendorff_alpha(codes).units


@given(CODES)
def test_pseudo_values_are_what_leaving_a_cluster_out_gives(codes: NDArray[np.float64]) -> None:
    clusters = [unit // 2 for unit in range(codes.shape[1])]
    whole = krippendorff_alpha(codes, clusters)
    coded = np.isfinite(codes).sum(axis=0) > 1
    present = sorted({cluster for cluster, kept in zip(clusters, coded, strict=True) if kept})
    assert len(whole.pseudo_values) == len(present)
    for cluster, pseudo in zip(present, whole.pseudo_values, strict=True) if len(present) > 1 else ():
        without = krippendorff_alpha(codes[:, [other != cluster for other in clusters]]).value
        direct = len(present) * whole.value - (len(present) - 1) * without
        assert pseudo == pytest.approx(direct, nan_ok=True)


def test_codes_that_are_all_the_same_leave_agreement_undefined() -> None:
    assert math.isnan(krippendorff_alpha(np.zeros((2, 30))).value)
    assert math.isnan(cohen_kappa(np.ones(30), np.ones(30)).value)
    assert math.isnan(krippendorff_alpha(np.full((2, 3), math.nan)).value)
    assert krippendorff_alpha(np.zeros((2, 30))).disagreement == 0


def test_systematic_disagreement_is_below_chance() -> None:
    one = np.tile([0.0, 1.0], 20)
    assert cohen_kappa(one, 1 - one).value == -1
    assert krippendorff_alpha([one, 1 - one]).value < -0.9


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"codes have the shape \(coders, units\), not \(3,\)"):
        krippendorff_alpha([1, 0, 1])
    with pytest.raises(ValueError, match="one code per unit and coder is needed"):
        cohen_kappa([1, 0], [1, 0, 1])
    with pytest.raises(ValueError, match="2 clusters for 3 units"):
        cohen_kappa([1, 0, 1], [1, 0, 1], ["a", "b"])
