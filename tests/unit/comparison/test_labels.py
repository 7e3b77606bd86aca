"""Runs are called by what tells them apart, and by no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmaudit.comparison.labels import run_labels
from llmaudit.run import Run

from .conftest import make_run


def run(name: str = "gpt2", started: str = "2026-11-22T10:15:00+00:00", seed: int = 0, **model: Any) -> Run:
    plain = make_run(name, started=started, seed=seed)
    assert plain.model is not None
    return replace(plain, model=replace(plain.model, **model))


def test_the_model_is_enough_where_it_differs() -> None:
    assert run_labels([run("gpt2"), run("distilgpt2")]) == ("gpt2", "distilgpt2")


def test_a_path_is_called_by_its_end() -> None:
    assert run_labels([run("/models/gpt2"), run("~/tiny.gguf")]) == ("gpt2", "tiny")


def test_the_same_model_is_called_by_what_differs_first() -> None:
    found = run_labels([run(), run(quantization="nf4"), run("other")])
    assert found == ("gpt2, no quantization", "gpt2, nf4", "other")
    assert run_labels([run(seed=1), run(seed=2)]) == ("gpt2, seed 1", "gpt2, seed 2")
    later = run(started="2026-11-22T11:00:00+00:00")
    assert run_labels([run(), later]) == ("gpt2, 2026-11-22 10:15:00", "gpt2, 2026-11-22 11:00:00")


def test_runs_that_share_everything_are_numbered() -> None:
    assert run_labels([run(), run(), replace(run("x"), model=None)]) == ("gpt2 #1", "gpt2 #2", "no model")
