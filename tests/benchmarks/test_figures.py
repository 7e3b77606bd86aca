from __future__ import annotations

import json

import pytest

from benchmarks.contest import Result, Timed
from benchmarks.figures import TARGETS, Figure, Target, best, last_line, missing, ratio

KEYS = [
    "generate_vs_naive",
    "generate_vs_batched",
    "loglikelihood_vs_lm_eval_best",
    "loglikelihood_vs_lm_eval_1",
    "loglikelihood_max_difference",
    "mixed_settings_vs_separate",
    "tokenization_seconds",
    "overhead_share",
    "plugin_startup_ms",
]


def _result(name: str, *rates: float, failure: str | None = None) -> Result:
    return Result(name, [Timed(1.0 / rate, 1) for rate in rates], failure)


def test_a_ratio_is_that_of_the_medians_and_tells_the_range() -> None:
    figure = ratio(_result("ours", 4, 8, 10), _result("theirs", 2, 2, 1))
    assert figure.value == pytest.approx(4)
    assert figure.note == "ours 8, theirs 2 items/s; 2 to 10 over 3 repetitions"


@pytest.mark.parametrize("failed", ["ours", "theirs"])
def test_a_ratio_with_a_failure_has_a_reason_for_a_value(failed: str) -> None:
    ours, theirs = (
        _result(name, 1.0, failure="ImportError: no" if name == failed else None) for name in ("ours", "theirs")
    )
    assert ratio(ours, theirs) == Figure(None, f"{failed} failed: ImportError: no")


def test_the_best_is_the_fastest_of_those_that_ran() -> None:
    slow, fast = _result("slow", 1), _result("fast", 2)
    broken = _result("broken", 9, failure="x")
    assert best([slow, broken, fast]) is fast
    assert best([broken]) is broken


@pytest.mark.parametrize(
    ("target", "value", "words"),
    [
        (Target(10, at_least=True), 10.0, "target at least 10: met"),
        (Target(10, at_least=True), 8.0, "target at least 10: missed by 2 (20%)"),
        (Target(0.05, at_least=False), 0.05, "target at most 0.05: met"),
        (Target(50, at_least=False, unit=" ms"), 60.0, "target at most 50 ms: missed by 10 ms (20%)"),
    ],
)
def test_a_target_is_met_or_missed_by_so_much(target: Target, value: float, words: str) -> None:
    assert target.verdict(value) == words


def test_the_line_of_a_figure() -> None:
    line = Figure(20.0, "median of 3").line("plugin_startup_ms")
    assert line.split(maxsplit=1) == ["plugin_startup_ms", "20 ms  target at most 30 ms: met  (median of 3)"]
    assert Figure(None, "x failed").line("overhead_share").split(maxsplit=1)[1] == "not measured: x failed"


def test_the_last_line_has_every_key_in_order_and_null_for_what_is_missing() -> None:
    figures = missing({"generate_vs_naive": Figure(12.34567, ""), "overhead_share": Figure(0.0123456, "")}, "why")
    assert figures["plugin_startup_ms"] == Figure(None, "why")
    line = last_line(figures)
    assert line.startswith('ratios: {"generate_vs_naive": 12.35, "generate_vs_batched": null, ')
    assert "\n" not in line
    read = json.loads(line.removeprefix("ratios: "))
    assert list(read) == KEYS == list(TARGETS)
    assert read["overhead_share"] == 0.01235
