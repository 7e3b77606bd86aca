"""Components of variance of samples in subgroups of clusters."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmaudit.stats import nested_components


def test_a_balanced_design_by_hand() -> None:
    # Cluster means 1.5 and 6; subgroup means 1, 2 and 5, 7; every cell has samples 1 below and 1 above its mean.
    values = [0, 2, 1, 3, 4, 6, 6, 8]
    clusters, subgroups = [0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0, 1, 1]
    found = nested_components(values, clusters, subgroups)
    assert found.within == 2
    assert found.between_subgroups == pytest.approx((0.5 + 2) / 2 - 2 / 2)
    assert found.between_clusters == pytest.approx(4.5**2 / 2 - (0.25 + 1) / 2)


def test_the_components_that_were_put_in_come_out_on_average_of_unequal_numbers() -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(30), [3, 5, 6] * 10)
    subgroups = np.concatenate([[0, 0, 1], [0, 0, 0, 1, 1], [0, 0, 1, 1, 2, 2]] * 10)
    found = []
    for _ in range(400):
        cluster, subgroup = rng.normal(0, 2, 30), rng.normal(0, 1, (30, 3))
        values = cluster[clusters] + subgroup[clusters, subgroups] + rng.normal(0, 1.5, clusters.size)
        each = nested_components(values, clusters, subgroups)
        found.append((each.between_clusters, each.between_subgroups, each.within))
    means, errors = np.mean(found, axis=0), np.std(found, axis=0) / math.sqrt(len(found))
    assert (np.abs(means - np.array([4, 1, 2.25])) < 4 * errors).all()


def test_what_the_design_cannot_tell_is_no_number() -> None:
    without_paraphrases = nested_components([1, 2, 4, 5], [0, 0, 1, 1], [0, 0, 0, 0])
    assert math.isnan(without_paraphrases.between_subgroups)
    assert without_paraphrases.between_clusters == pytest.approx(4.5 - 0.25)
    one_sample_each = nested_components([1, 2, 4, 5], [0, 0, 1, 1], [0, 1, 0, 1])
    assert all(map(math.isnan, (one_sample_each.within, one_sample_each.between_clusters)))
    assert math.isnan(nested_components([1, 2], [0, 0], [0, 0]).between_clusters)
    assert math.isnan(nested_components([], [], []).within)


@pytest.mark.parametrize(("values", "clusters"), [([1.0, math.nan], [0, 0]), ([1.0], [0, 0])])
def test_what_cannot_be_split(values: list[float], clusters: list[int]) -> None:
    with pytest.raises(ValueError, match="one finite value"):
        nested_components(values, clusters, clusters)
