"""Where an answer belongs in the design."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from llmaudit.groupwise.answers import Answers


def test_one_number_per_answer_is_arranged_by_cluster_group_and_position(answers: Callable[..., Answers]) -> None:
    found = answers(lambda cluster, group, position: f"{cluster}{group}{position}", clusters=2, samples=3)
    grid = found.grid(np.arange(12, dtype=float))
    assert grid.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
    assert found.texts[7] == "t1a1"
    assert found.names == (None,) * 12


def test_what_was_not_asked_has_no_number() -> None:
    assert Answers.of([], ["a", "b"]).grid(np.zeros(0)).shape == (0, 2, 0)


def test_paraphrases_and_names_are_kept(answers: Callable[..., Answers]) -> None:
    names = {"a": ["Ann", "Amy"], "b": ["Bob", "Ben"]}
    found = answers(lambda *_: "x", clusters=2, samples=2, paraphrases=2, names=names)
    assert found.paraphrases.tolist() == [0, 1] * 4
    assert found.names == ("Ann", "Amy", "Bob", "Ben", "Amy", "Ann", "Ben", "Bob")


def test_a_request_without_an_answer_has_no_text(answers: Callable[..., Answers]) -> None:
    assert answers(lambda *_: None, clusters=1, samples=1).texts == (None, None)
