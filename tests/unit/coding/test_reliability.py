"""When coders agree well enough, and which texts they are compared on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.coding.reliability import (
    ONE_CODER,
    agreement_estimates,
    agreement_interval,
    double_coded,
    reliability,
)

CLUSTERS = [f"p{unit // 5}" for unit in range(60)]
HALF = np.tile([0.0, 1.0], 30)


def wrong(count: int) -> np.ndarray:
    """Codes that differ from HALF in so many texts."""
    return np.where(np.arange(60) < count, 1 - HALF, HALF)


def test_the_line_is_drawn_at_two_thirds() -> None:
    found = {count: reliability("c", {"a": HALF, "b": wrong(count)}, CLUSTERS) for count in (0, 10, 11)}
    assert {count: each.verdict for count, each in found.items()} == {0: "reliable", 10: "reliable", 11: "unreliable"}
    assert found[10].problem is None
    assert found[11].problem == "coders do not agree on c: alpha 0.64 is below 0.667"
    assert found[11].found == {"a": 30, "b": 30 + 1}


def test_too_few_texts_show_nothing() -> None:
    other = np.where(np.arange(60) < 49, HALF, math.nan)
    found = reliability("c", {"a": HALF, "b": other}, CLUSTERS)
    assert (found.verdict, found.problem) == ("not shown", "49 texts were coded twice for c: agreement needs 50")
    assert reliability("c", {"a": HALF}, CLUSTERS).problem == ONE_CODER


def test_all_coders_count_for_alpha_and_the_first_two_for_kappa() -> None:
    found = reliability("c", {"a": HALF, "b": HALF, "human": 1 - HALF}, CLUSTERS)
    assert found.kappa.value == 1
    assert found.alpha.value < 0.5


def test_two_coders_that_agree_do_not_outvote_the_people() -> None:
    rare = np.repeat([1.0, 0.0], [80, 120])
    people = np.where(np.arange(200) >= 70, 0.0, math.nan)  # none, where the others find 10 in 130
    clusters = [f"p{unit % 24}" for unit in range(200)]
    found = reliability("c", {"rules": rare, "model": rare, "human": people}, clusters)
    assert found.alpha.value > 0.667
    assert found.verdict == "unreliable"
    assert found.problem is not None
    assert found.problem.startswith("coders do not agree on c: alpha of rules and human is -0.0")
    # Fewer than 50 texts are too few to say so.
    few = np.where(np.arange(200) < 119, people, math.nan)
    assert reliability("c", {"rules": rare, "model": rare, "human": few}, clusters).verdict == "reliable"


def test_perfect_agreement_still_has_an_interval_that_more_clusters_narrow() -> None:
    few = agreement_interval(reliability("c", {"a": HALF, "b": HALF}, CLUSTERS).alpha)
    many = agreement_interval(reliability("c", {"a": HALF, "b": HALF}, [str(n) for n in range(60)]).alpha)
    assert few is not None
    assert many is not None
    assert few.high == many.high == 1
    assert 0 < few.low < many.low < 1


def test_one_cluster_that_holds_all_variation_gives_no_interval_and_says_so() -> None:
    codes = np.where(np.arange(60) < 3, 1.0, 0.0)
    facet = reliability("c", {"a": codes, "b": codes}, CLUSTERS)
    assert facet.alpha.value == 1
    estimates = agreement_estimates("alpha", [facet])
    assert estimates["alpha.c"].interval is None
    assert estimates["alpha.c"].problem == "all texts with c are of one cluster: no interval could be computed"


def test_the_lowest_category_is_the_bare_metric() -> None:
    facets = [reliability(name, {"a": HALF, "b": wrong(count)}, CLUSTERS) for name, count in (("x", 2), ("y", 20))]
    found = agreement_estimates("kappa", facets)
    assert list(found) == ["kappa", "kappa.x", "kappa.y"]
    assert found["kappa"].value == found["kappa.y"].value == pytest.approx(1 / 3)
    assert found["kappa"].better == "higher"
    undefined = reliability("z", {"a": np.zeros(60), "b": np.zeros(60)}, CLUSTERS)
    assert undefined.problem is None
    bare = agreement_estimates("alpha", [*facets, undefined])["alpha"]
    assert bare.interval is None
    assert bare.problem == "undefined: all codes of z are the same"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=40), st.integers(0, 50), st.integers(0, 9))
def test_the_second_coders_texts_are_usable_spread_and_the_same_for_a_seed(
    texts: list[tuple[str, bool]], size: int, seed: int
) -> None:
    clusters, usable = [cluster for cluster, _ in texts], [keep for _, keep in texts]
    chosen = double_coded(clusters, usable, size, seed)
    assert chosen == double_coded(clusters, usable, size, seed) == sorted(set(chosen))
    assert all(usable[index] for index in chosen)
    assert len(chosen) == min(size, sum(usable))
    counts = {cluster: sum(clusters[index] == cluster for index in chosen) for cluster in clusters}
    for cluster, count in counts.items():
        left = sum(keep and own == cluster for own, keep in texts) - count
        # Nobody gets a second text before everybody who can has had a first.
        assert left == 0 or count >= max(counts.values()) - 1
