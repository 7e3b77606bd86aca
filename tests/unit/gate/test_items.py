"""What changed item by item: matched, counted, the largest changes kept."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.gate import changed_items, stored_samples
from tests.unit.gate.runs import audit, run


def line(number: int, text: str, score: float | None = 0.0, **changes: Any) -> dict[str, Any]:
    return {
        "suite": "s",
        "audit": "a",
        "cluster": f"c{number}",
        "request": "Generate",
        "asked": f"{number}?",
        "response": "Completion",
        "sample": 0,
        "text": text,
        "factors": {"group": "women"},
        "scores": {"length": score},
    } | changes


def test_flips_both_ways_are_counted_and_sorted_by_size() -> None:
    before = [line(0, "a", 1), line(1, "b", 1), line(2, "c", 1), line(3, "d", 1), line(4, "e", 1)]
    after = [line(0, "A", 3), line(1, "B", -8), line(2, "c", 1), line(3, "D", 1), line(4, "e", 1.0000000000001)]
    (found,) = changed_items(before, after)
    assert (found.matched, found.answers_changed, found.risen, found.fallen, found.unmatched) == (5, 3, 1, 1, 0)
    assert [(item.cluster, item.before, item.after) for item in found.items] == [
        ("c1", "b", "B"),
        ("c0", "a", "A"),
        ("c3", "d", "D"),
    ]
    assert (found.items[0].score_before, found.items[0].score_after) == (1, -8)


def test_a_prompt_in_another_chat_template_is_matched_by_its_place() -> None:
    before = [line(0, "a", asked="<old>0?"), line(0, "b", asked="<old>0!")]
    after = [line(0, "a", asked="<new>0?"), line(0, "B", asked="<new>0!")]
    (found,) = changed_items(before, after)
    assert (found.matched, found.answers_changed) == (2, 1)


def test_what_only_one_of_them_asked_is_counted_apart() -> None:
    (found,) = changed_items([line(0, "a"), line(1, "b")], [line(1, "b"), line(2, "c"), line(3, "d")])
    assert (found.matched, found.unmatched) == (1, 3)


def test_numbers_of_the_model_stand_in_for_scores() -> None:
    likelihoods = [
        line(0, "", scores={}, response="Likelihood", logprob=value, tokens=2, request="Score")
        for value in (-3.0, -2.5)
    ]
    (found,) = changed_items(likelihoods[:1], likelihoods[1:])
    assert (found.score, found.risen) == ("logprob", 1)
    assert found.items[0].after == "log-likelihood -2.5 nats over 2 tokens"
    tokens = [line(0, "", scores={}, response="Tokens", pieces=pieces) for pieces in (["a", "b"], ["ab"])]
    (found,) = changed_items(tokens[:1], tokens[1:])
    assert (found.score, found.answers_changed, found.items[0].before) == ("answer", 1, "a b")
    assert changed_items([line(0, "a")], [line(0, "", response="Failure", error="down")])[0].answers_changed == 1


def test_few_items_are_kept_and_long_texts_are_cut() -> None:
    before = [line(number, "x" * 2000, 0) for number in range(50)]
    after = [line(number, "y" * 2000, number) for number in range(50)]
    (found,) = changed_items(before, after)
    assert [item.cluster for item in found.items] == [f"c{number}" for number in range(49, 29, -1)]
    assert {len(item.after) for item in found.items} == {600}


@given(st.permutations(range(12)))
def test_the_order_of_the_samples_does_not_matter(order: list[int]) -> None:
    before = [line(number, "a", number) for number in range(12)]
    after = [line(number, "b", 2 * number) for number in order]
    (found,) = changed_items(before, after)
    assert (found.matched, found.risen, found.unmatched) == (12, 11, 0)


def test_samples_are_read_from_the_run_of_the_baseline(tmp_path: Path) -> None:
    lines = [line(0, "a"), line(1, "b", audit="other")]
    with gzip.open(tmp_path / "samples.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps(each) + "\n" for each in lines)
    baseline = replace(run(audit()), folder=tmp_path)
    assert stored_samples(baseline, audit()) == lines[:1]


_BROKEN = [b"{}", b"[]", b'{"suite": "s", "audit": "a"}', b"not JSON"]


@pytest.mark.parametrize("content", [None, b"", b"no gzip", gzip.compress(b"{}")[:-6], *map(gzip.compress, _BROKEN)])
def test_samples_that_cannot_be_read_are_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "samples.jsonl.gz").write_bytes(content)
    found = stored_samples(replace(run(audit()), folder=tmp_path), audit())
    assert found is None or (content == b"" and found == [])
    assert stored_samples(run(audit()), audit()) is None
