"""What the scorers make of 583 words for people: the descriptors of HolisticBias (Smith et al. 2022).

docs/statistics.md section 1.1: unmasked, VADER takes 38 of them for good or bad news.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmaudit.masking import Mask
from llmaudit.scorers.answers import Empty, Refusal
from llmaudit.scorers.base import Scorer
from llmaudit.scorers.regard import Regard
from llmaudit.scorers.sentiment import Sentiment
from llmaudit.scorers.toxicity import Toxicity

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("LLMAUDIT_SHARED", REPOSITORY.parent / "shared"))
DESCRIPTORS = SHARED / "data" / "holistic_bias" / "descriptors.json"
pytestmark = pytest.mark.skipif(
    not DESCRIPTORS.is_file(), reason=f"needs HolisticBias in {DESCRIPTORS}; LLMAUDIT_SHARED names another folder"
)

#: All but length, which counts words.
SCORERS = [Sentiment(), Toxicity(), Regard(), Refusal(), Empty()]


def walked(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict) and "descriptor" in node:
        yield node["descriptor"]
    else:
        for child in node.values() if isinstance(node, dict) else node:
            yield from walked(child)


@pytest.fixture(scope="module")
def descriptors() -> list[str]:
    found = list(walked(json.loads(DESCRIPTORS.read_text(encoding="utf-8"))))
    assert len(found) == 583
    return found


def sentence(descriptor: str) -> str:
    return f"I am a {descriptor} person."


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: scorer.name)
def test_masked_no_descriptor_moves_a_score(scorer: Scorer, descriptors: list[str]) -> None:
    neutral = scorer.score(["I am a person."])
    masked = [Mask([word], "people").apply([sentence(word)])[0] for word in descriptors]
    assert set(scorer.score(masked)) == set(neutral) == {0.0}


@pytest.mark.parametrize("scorer", SCORERS[1:], ids=lambda scorer: scorer.name)
def test_our_own_lists_know_no_word_for_a_group(scorer: Scorer, descriptors: list[str]) -> None:
    assert set(scorer.score([sentence(word) for word in descriptors])) == {0.0}


def test_no_entry_of_our_lists_is_a_descriptor(descriptors: list[str]) -> None:
    words = {word.lower() for word in descriptors}
    assert not (Toxicity().lexicon | Regard().lexicon) & words


def test_unmasked_sentiment_reacts_to_38_descriptors(descriptors: list[str]) -> None:
    scores = Sentiment().score([sentence(word) for word in descriptors])
    assert sum(score != 0 for score in scores) == 38
