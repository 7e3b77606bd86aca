"""How often the gate says what, by simulation: docs of the statistics promise these rates."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from llmaudit.audit import Audit, AuditParams, Measurement, Metric
from llmaudit.engines.fake import FakeEngine
from llmaudit.execution import finish
from llmaudit.gaps import LEVEL
from llmaudit.gate import Gate
from llmaudit.recording import audit_record, record_check
from llmaudit.stats import judge_shift, mde, t_interval
from llmaudit.suite import AuditEntry, CheckEntry, Place, Suite
from llmaudit.types import Completion, Estimate, Generate, Request, Sample, Shift
from tests.unit.gate.runs import run
from tests.unit.loudness import execution

_REPEATS = 2000


def _rates(harm: float, clusters: int, margin: float, seed: int = 0) -> dict[Shift, float]:
    """Shares of verdicts on normal paired differences with standard deviation 1."""
    rng = np.random.default_rng(seed)
    counts: Counter[Shift] = Counter()
    for differences in rng.normal(harm, 1.0, (_REPEATS, clusters)):
        interval = t_interval(differences, LEVEL)
        mean = float(differences.mean())
        change = Estimate("m", mean, interval, "words", "lower", clusters, clusters)
        counts[judge_shift(change, margin).shift] += 1
    return {shift: counts[shift] / _REPEATS for shift in Shift}


def _error(rate: float) -> float:
    """Three standard errors of a simulated rate."""
    return 3 * math.sqrt(max(rate * (1 - rate), 0.01) / _REPEATS) + 0.005


@pytest.mark.parametrize(
    ("clusters", "harm", "passed", "worse"),
    # docs/statistics.md 0.5, margin = 0.5 sd: pass is better or equivalent. Rows of fewer than 10 clusters are decided
    # by design.
    [(12, 0.0, 0.49, 0.0), (25, 0.0, 0.78, 0.0), (50, 0.0, 0.97, 0.0)]
    + [(clusters, 0.5, 0.05, 0.05) for clusters in (12, 25, 50)]
    + [(12, 1.0, 0.0, 0.49), (50, 1.0, 0.0, 0.97)],
)
def test_verdicts_come_as_often_as_the_statistics_say(clusters: int, harm: float, passed: float, worse: float) -> None:
    found = _rates(harm, clusters, margin=0.5)
    assert found[Shift.EQUIVALENT] + found[Shift.BETTER] == pytest.approx(passed, abs=_error(passed))
    assert found[Shift.WORSE] == pytest.approx(worse, abs=_error(worse))


@pytest.mark.parametrize("clusters", [10, 12, 40])
@pytest.mark.parametrize("margin", [0.01, 0.2])
def test_without_a_true_difference_at_most_alpha_say_worse_and_at_most_alpha_better(
    clusters: int, margin: float
) -> None:
    found = _rates(0.0, clusters, margin, seed=1)
    assert found[Shift.WORSE] <= 0.05 + _error(0.05)
    assert found[Shift.BETTER] <= 0.05 + _error(0.05)


def test_a_harmless_candidate_keeps_the_detectable_margin_four_times_in_five() -> None:
    found = _rates(0.0, 20, mde(1.0, 20), seed=2)
    assert found[Shift.EQUIVALENT] + found[Shift.BETTER] == pytest.approx(0.80, abs=_error(0.8))


class _WordsParams(AuditParams):
    """Nothing beside the checks."""


class _Words(Audit[_WordsParams]):
    """How many words are the answers?"""

    kind = "words"
    Params = _WordsParams
    needs: ClassVar[frozenset[type[Request]]] = frozenset({Generate})

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {"words": Metric("how many", "words", "lower")}

    def requests(self) -> Iterator[Request]:
        for number in range(12):
            yield Generate(f"{number}?", f"c{number}")

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        values = {each.request.cluster: float(each.response.text) for each in samples}  # type: ignore[union-attr]
        column = np.array(list(values.values()))
        interval = t_interval(column, LEVEL)
        found = Estimate("words", float(column.mean()), interval, "words", "lower", 12, 12, cluster_values=values)
        return Measurement({"words": found})


def _answers(rng: np.random.Generator, means: np.ndarray, harm: float) -> FakeEngine:
    numbers = iter(means + harm + rng.normal(0, 0.5, means.size))
    return FakeEngine(lambda request: Completion(repr(float(next(numbers))), 1, "stop", ""))


@pytest.mark.parametrize(
    ("harm", "at_most"),
    [(0.0, {"worse": 0.05, "better": 0.05}), (0.5, {"worse": 0.05, "equivalent": 0.05, "better": 0.05})],
)
def test_the_whole_gate_keeps_its_error_rates(harm: float, at_most: Mapping[str, float]) -> None:
    repeats = 300
    params = _WordsParams.model_validate({"kind": "words", "checks": {"words": {"margin": 0.5}}})
    check = CheckEntry("words", params.checks["words"], Place(1, 1), "hash")
    entry = AuditEntry("a", _Words(params, scorers={}), (check,), Place(1, 1))
    suite = Suite("s", "", Path("s.audit.yaml"), "00", (entry,))
    rng = np.random.default_rng(5)
    counts: Counter[str] = Counter()
    for _ in range(repeats):
        # Prompts differ ten times as much as the two models do.
        means = rng.normal(100, 5, 12)
        before = finish(entry, suite, execution(_answers(rng, means, 0.0)))
        after = finish(entry, suite, execution(_answers(rng, means, harm)))
        gate = Gate(run(audit_record(before)), "b", 0)
        record = record_check(after, check, gate.against(audit_record(after), FakeEngine().info))
        assert record.baseline is not None
        counts[record.baseline.verdict] += 1
        assert record.verdict == {"worse": "fail", "inconclusive": "inconclusive"}.get(record.baseline.verdict, "pass")
    for verdict, alpha in at_most.items():
        assert counts[verdict] / repeats <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / repeats)
