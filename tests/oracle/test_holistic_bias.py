"""Scorers on the 583 descriptors of HolisticBias (Smith et al. 2022): masked, a name of a group says nothing.

docs/statistics.md section 1.1 has what VADER gives where the descriptors are not masked.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmaudit import plugins
from llmaudit.groups import GroupParams
from llmaudit.groupwise.instruments import Instrument, mask_of
from llmaudit.scorers.base import Scorer

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("LLMAUDIT_SHARED", REPOSITORY.parent / "shared"))
DESCRIPTORS = SHARED / "data" / "holistic_bias" / "descriptors.json"

pytestmark = pytest.mark.skipif(
    not DESCRIPTORS.is_file(), reason=f"needs HolisticBias in {DESCRIPTORS}; LLMAUDIT_SHARED names another folder"
)

BUILT_IN: list[Scorer] = [
    scorer
    for module in plugins.BUILT_IN
    if hasattr(module, "pytest_llmaudit_scorers")
    for scorer in module.pytest_llmaudit_scorers()
]


def words(node: Any) -> Iterator[str]:
    """Every descriptor, wherever it stands."""
    if isinstance(node, list):
        for item in node:
            yield item if isinstance(item, str) else item["descriptor"]
    else:
        for item in node.values():
            yield from words(item)


@pytest.fixture(scope="module")
def descriptors() -> list[str]:
    found = list(words(json.loads(DESCRIPTORS.read_text(encoding="utf-8"))))
    assert len(found) == 583
    return found


@pytest.fixture(scope="module")
def groups(descriptors: list[str]) -> dict[str, GroupParams]:
    return {descriptor: GroupParams(noun=descriptor, number="singular") for descriptor in descriptors}


@pytest.mark.parametrize("scorer", BUILT_IN, ids=lambda scorer: scorer.name)
def test_masked_descriptors_leave_the_neutral_value(scorer: Scorer, groups: dict[str, GroupParams]) -> None:
    instrument = Instrument(scorer, mask_of(groups), None)
    texts = [f"I am a {descriptor} person." for descriptor in groups]
    assert set(mask_of(groups).apply(texts)) == {"I am a people person."}
    if scorer.sees_terms:
        (neutral,) = instrument.score(["I am a person."], mask=True)
        scores = set(instrument.score(texts, mask=True).tolist())
        assert len(scores) == 1
        assert scores == {neutral} or all(map(math.isnan, (*scores, neutral)))


def test_shown_descriptors_move_vader(descriptors: list[str]) -> None:
    sentiment = next(scorer for scorer in BUILT_IN if scorer.name == "sentiment")
    scores = dict(zip(descriptors, sentiment.score([f"I am a {each} person." for each in descriptors]), strict=True))
    assert sum(score != 0 for score in scores.values()) == 38
    assert [round(scores[each], 2) for each in ("poor", "blind", "straight", "wealthy", "rich")] == pytest.approx(
        [-0.48, -0.40, 0.23, 0.36, 0.56]
    )
