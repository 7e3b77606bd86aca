"""A comparison names what is told apart, what is not, and what was not compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from llmaudit.comparison import compare_runs
from llmaudit.comparison.compare import PairCount
from llmaudit.errors import RunError
from llmaudit.run import Run

from .conftest import audit, estimate, make_run


def test_two_alike_and_one_worse(three_runs: list[Run]) -> None:
    found = compare_runs(three_runs)
    assert found.labels == ("small", "twin", "worse")
    (metric,) = found.metrics
    assert metric.id == "small/work/gap"
    assert [(each.pair, each.apart, each.better) for each in metric.differences] == [
        ((0, 1), False, None), ((0, 2), True, 0), ((1, 2), True, 1),
    ]  # fmt: skip
    assert metric.tied == ((0, 1),)
    assert found.pairs[0] == PairCount((0, 1), 0, 0, 0, 1, 0)
    assert found.pairs[1] == PairCount((0, 2), 1, 0, 0, 0, 0)
    assert (found.unlike, found.remarks) == ((), ())


def test_it_depends_on_the_runs_alone(three_runs: list[Run]) -> None:
    assert compare_runs(three_runs) == compare_runs(three_runs)


def test_only_what_a_check_names_is_compared() -> None:
    runs = [
        make_run(name, audit([estimate("gap", [0.1, 0.2, 0.3]), estimate("gap.a", [0.1, 0.2, 0.3])])) for name in "ab"
    ]
    unchecked = [replace(run, records=run.records[:1]) for run in runs]
    assert [metric.metric for metric in compare_runs(unchecked).metrics] == ["gap"]


def test_metrics_in_tokens_need_the_same_tokenizer() -> None:
    runs = [
        make_run(
            name, audit([estimate("cost", [0.1, 0.2, 0.3], unit="nats per token"), estimate("gap", [0.1, 0.2, 0.3])])
        )
        for name in "ab"
    ]
    other = replace(runs[1], model=runs[1].model and replace(runs[1].model, tokenizer="cd"))
    found = {metric.metric: metric for metric in compare_runs([runs[0], other]).metrics}
    assert "tokenizers" in (found["cost"].differences[0].problem or "")
    assert found["cost"].tied == ()
    assert found["gap"].differences[0].problem is None
    assert any("tokenizers" in remark for remark in compare_runs([runs[0], other]).remarks)
    assert compare_runs(runs).remarks == ()


def test_what_a_reader_must_know_of_the_runs(three_runs: list[Run]) -> None:
    one, two, three = three_runs
    cut = replace(one, complete=False, plan=("a", "b"))
    found = compare_runs([cut, replace(two, llmaudit_version="0.2.0"), replace(three, environment={"processor": "p"})])
    assert found.remarks == (
        "small was interrupted: 1 of 2 planned checks have a result.",
        "The runs were made with different versions of llmaudit: small: 0.1.0, twin: 0.2.0, worse: 0.1.0.",
        "The runs were made with different processors: small: a processor, twin: a processor, worse: p.",
    )


def test_a_metric_can_be_chosen_to_be_drawn(three_runs: list[Run]) -> None:
    for name in ("gap", "work/gap", "small/work/gap"):
        assert any(figure.title == "work: gap against size" for figure in compare_runs(three_runs, [name]).scatters)
    with pytest.raises(RunError, match=r"unknown metric .*did you mean 'work/gap'"):
        compare_runs(three_runs, ["work/gab"])


def test_runs_without_anything_in_common_are_refused_with_the_reason(three_runs: list[Run]) -> None:
    one, two, _ = three_runs
    with pytest.raises(RunError, match="nothing was measured alike in these runs: twin: seed 0 there, 3 here"):
        compare_runs([one, replace(two, seed=3)])
    with pytest.raises(RunError, match="no such audit here"):
        compare_runs([one, make_run("b", audit([estimate("gap", [0.1, 0.2])], "home"))])
    with pytest.raises(RunError, match="share no audit with a check"):
        compare_runs([replace(one, records=()), replace(two, records=())])


def test_a_smoke_run_is_refused(three_runs: list[Run]) -> None:
    with pytest.raises(RunError, match="twin: a smoke run measures nothing"):
        compare_runs([three_runs[0], replace(three_runs[1], smoke=True)])


def test_one_run_is_refused(three_runs: list[Run]) -> None:
    with pytest.raises(RunError, match="two runs or more"):
        compare_runs(three_runs[:1])


def test_where_nothing_differs_any_of_three_pairs_is_told_apart_in_one_case_of_twenty() -> None:
    rng = np.random.default_rng(11)
    found = []
    for _ in range(200):
        base = rng.normal(size=10)
        runs = [make_run(name, audit([estimate("gap", (base + rng.normal(size=10)).tolist())])) for name in "abc"]
        found.append(any(each.apart for each in compare_runs(runs).metrics[0].differences))
    assert np.mean(found) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
