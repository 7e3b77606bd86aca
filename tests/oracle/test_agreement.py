"""Agreement that others published or compute, and the coverage of our interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa, to_table

from llmaudit.coding.reliability import agreement_interval
from llmaudit.stats.agreement import cohen_kappa, krippendorff_alpha

NA = math.nan
# Krippendorff 2011, "Computing Krippendorff's alpha-reliability", section C: nominal data, 4 observers, 12 units.
FOUR_OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NA, NA, NA],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NA, 3],
    [NA, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NA],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NA],
]
# The same, section A: binary data, two observers, ten units.
TWO_OBSERVERS = [[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]]


def test_krippendorffs_worked_examples() -> None:
    four = krippendorff_alpha(FOUR_OBSERVERS)
    assert four.value == pytest.approx(0.743, abs=5e-4)
    assert four.units == 11
    two = krippendorff_alpha(TWO_OBSERVERS)
    assert two.value == pytest.approx(0.095, abs=5e-4)
    assert two.disagreement == pytest.approx(4 / 10)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random(60) < 0.3
    codes = np.where(rng.random((2, 60)) < 0.8, truth, rng.random((2, 60)) < 0.5)
    reference = cohens_kappa(to_table(codes.T.astype(int), bins=2)[0])
    found = cohen_kappa(*codes.astype(float))
    assert found.value == pytest.approx(reference.kappa)
    # Without clusters the jackknife's standard error is the asymptotic one, up to its order of accuracy.
    jackknife = found.pseudo_values.std(ddof=1) / math.sqrt(60)
    assert jackknife == pytest.approx(reference.std_kappa, rel=0.1)


@pytest.mark.parametrize(("share", "accuracy"), [(0.5, 0.9), (0.3, 0.8), (0.3, 0.95), (0.1, 0.95)])
def test_the_interval_of_alpha_covers_what_it_promises(share: float, accuracy: float) -> None:
    # Texts of one prompt resemble each other: prompts differ in how common the category is.
    repeats, clusters, texts = 400, 24, 3
    rng = np.random.default_rng([int(100 * share), int(100 * accuracy)])

    def drawn(prompts: int) -> tuple[np.ndarray, list[int]]:
        rates = rng.beta(4 * share, 4 * (1 - share), prompts)
        truth = rng.random((prompts, texts)) < rates[:, None]
        wrong = rng.random((2, prompts, texts)) > accuracy
        return (truth ^ wrong).reshape(2, -1).astype(float), np.repeat(np.arange(prompts), texts).tolist()

    true = krippendorff_alpha(drawn(40_000)[0]).value
    held = 0
    for _ in range(repeats):
        found = agreement_interval(krippendorff_alpha(*drawn(clusters)))
        assert found is not None
        held += found.low <= true <= found.high
    # Three standard errors of a rate of 90 % in 400 repeats are 4.5 points.
    assert held / repeats > 0.855
