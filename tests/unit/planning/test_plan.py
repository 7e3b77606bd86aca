"""What a run will cost and can decide, from suites and earlier runs alone."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llmaudit.engines.fake import FakeEngine
from llmaudit.planning.calibration import calibrate
from llmaudit.planning.checks import CheckPlan
from llmaudit.planning.foreseen import Foreseen, foresee
from llmaudit.planning.plan import AuditPlan, Chosen, Plan, Planner, Price
from llmaudit.planning.rates import UNMEASURED, Rates, measured_rates, seconds_of
from llmaudit.planning.words import plan_lines
from llmaudit.planning.workload import Workload, workload
from llmaudit.records import to_plain
from llmaudit.run import Run
from llmaudit.stats import Limit, PassRule, detectable, pass_power
from llmaudit.suite import Look
from llmaudit.types import Embed, Generate, Request, Sampling, Score, Tokenize
from tests.unit.planning.gender import CLUSTERS, TEXT, earlier, gender

SPREAD = [(-1.0) ** number * 2.0 for number in range(CLUSTERS)]


def planned(
    folder: Path,
    *own: Run,
    others: tuple[Run, ...] = (),
    baseline: Run | None = None,
    text: str = TEXT,
    clusters: int = CLUSTERS,
) -> Plan:
    suite = gender(folder, text, clusters)
    chosen = [Chosen(suite, entry, entry.checks) for entry in suite.audits]
    planner = Planner(FakeEngine(), own, others, baseline, measured_rates(own), Price(1.0, 2.0, "EUR"))
    return Plan("tiny", planner.rates.source, planner.plan(chosen, planner.foresee(chosen)), currency="EUR")


def checks_of(plan: Plan) -> dict[tuple[str, str], CheckPlan]:
    return {(check.check, check.against): check for audit in plan.audits for check in audit.checks}


def test_requests_and_tokens_are_counted_as_they_will_be_asked(tmp_path: Path) -> None:
    (audit,) = planned(tmp_path).audits
    assert audit.work.requests == audit.work.completions == 2 * 4 * CLUSTERS
    assert audit.work.new_tokens == 10 * audit.work.requests
    # "women are 7" is three words.
    assert audit.work.prompt_tokens == 3 * audit.work.requests
    assert audit.work.longest == 13
    assert audit.work.complete
    assert audit.money == pytest.approx((3 + 2 * 10) * audit.work.requests / 1e6)


def test_variants_are_asked_the_same_once_more(tmp_path: Path) -> None:
    text = TEXT.replace("    samples: 4", "    samples: 4\n    variants: {half: {dtype: bfloat16}}")
    (audit,) = planned(tmp_path, text=text).audits
    assert audit.work.requests == 2 * 2 * 4 * CLUSTERS


def test_what_is_asked_after_words_are_cut_is_foreseen(tmp_path: Path) -> None:
    text = """\
        suite: s
        audits:
          words:
            kind: steering
            method: words
            strengths: [2]
            words: {positive: [good, kind], negative: [bad, poor], placebo: [blue, round]}
            prompts: ["I think", "They are"]
            samples: 2
            scorer: length
            checks: {slope: {role: exploratory}}
        """
    suite = gender(tmp_path, "\n".join(line.removeprefix("        ") for line in text.splitlines()))
    asked = foresee(suite.audits[0].audit, FakeEngine())
    assert any(isinstance(request, Generate) for request in asked.requests)
    assert any(isinstance(request, Tokenize) for request in asked.requests)
    assert not asked.complete


def test_a_check_is_planned_by_the_spread_of_an_earlier_run(tmp_path: Path) -> None:
    found = checks_of(planned(tmp_path, earlier(tmp_path, SPREAD)))["length_gap", "limit"]
    sd = float(np.std(SPREAD, ddof=1))
    assert found.sd == pytest.approx(sd)
    assert "measured in the run of 2026-01-02 03:04" in found.source
    assert found.detectable == pytest.approx(detectable(PassRule(Limit(max=1), signed=True), sd, CLUSTERS))
    assert found.decides == "yes"
    assert found.power is not None
    assert found.power > 0.8


def test_more_samples_help_as_far_as_the_floor(tmp_path: Path) -> None:
    wide = [4 * value for value in SPREAD]
    found = checks_of(planned(tmp_path, earlier(tmp_path, wide, within=8.0)))["length_gap", "limit"]
    assert found.decides == "no"
    assert found.floor is not None
    assert found.detectable is not None
    assert 2 < found.floor < found.detectable
    assert found.samples_needed is None
    assert f"{found.clusters_needed} clusters in place of {CLUSTERS}" in found.reason
    assert "more samples alone cannot go below" in found.reason
    noisy = checks_of(planned(tmp_path, earlier(tmp_path, wide, within=12.0)))["length_gap", "limit"]
    assert noisy.samples_needed is not None
    assert f"or {noisy.samples_needed} samples per cell" in noisy.reason


def test_a_margin_is_planned_by_the_difference_to_another_model(tmp_path: Path) -> None:
    own = earlier(tmp_path, SPREAD)
    alone = checks_of(planned(tmp_path, own))["length_gap", "margin"]
    assert alone.sd == pytest.approx(math.sqrt(2) * np.std(SPREAD, ddof=1))
    assert "as if the two models were unrelated" in alone.source
    assert alone.decides == "doubtful"
    other = earlier(tmp_path, [value + 0.1 * (-1) ** (number // 2) for number, value in enumerate(SPREAD)], model="big")
    beside = checks_of(planned(tmp_path, own, others=(other,)))["length_gap", "margin"]
    assert beside.sd == pytest.approx(0.1, rel=0.05)
    assert beside.source == "measured against big"
    assert beside.decides == "yes"


def near(values: list[float], by: float) -> list[float]:
    return [value + by * (-1) ** (number // 2) for number, value in enumerate(values)]


def test_a_margin_is_planned_by_the_baseline_before_all_other_models(tmp_path: Path) -> None:
    own = earlier(tmp_path, SPREAD)
    far, baseline = earlier(tmp_path, near(SPREAD, 3.0), model="far"), earlier(tmp_path, near(SPREAD, 0.1), model="big")
    found = checks_of(planned(tmp_path, own, others=(far,), baseline=baseline))["length_gap", "margin"]
    assert (found.source, found.decides) == ("measured against big", "yes")
    assert found.sd == pytest.approx(0.1, rel=0.05)


def test_a_baseline_stands_in_for_a_model_that_was_never_run(tmp_path: Path) -> None:
    found = checks_of(planned(tmp_path, baseline=earlier(tmp_path, SPREAD, model="big")))
    assert found["length_gap", "limit"].source == "measured in big's run of 2026-01-02 03:04"
    assert found["length_gap", "margin"].decides == "doubtful"


def test_a_margin_of_the_worst_gap_must_be_kept_on_both_sides(tmp_path: Path) -> None:
    # As `gate.AuditGate` judges it: every facet, a difference whose better value is zero, within +- the margin.
    own, other = earlier(tmp_path, SPREAD), earlier(tmp_path, near(SPREAD, 2.0), model="big")
    found = checks_of(planned(tmp_path, own, others=(other,)))["length_gap", "margin"]
    assert found.sd is not None
    assert found.power == pytest.approx(pass_power(PassRule(Limit(max=1), signed=True), 0.0, found.sd, CLUSTERS))


def test_a_share_as_margin_is_of_the_baselines_value(tmp_path: Path) -> None:
    text = TEXT.replace("margin: 1}", "margin: 50 %}")
    unknown = checks_of(planned(tmp_path, text=text))["length_gap", "margin"]
    assert (unknown.decides, unknown.bound) == ("unknown", "50 % worse")
    own = earlier(tmp_path, SPREAD)
    baseline = earlier(tmp_path, [value + 4 for value in SPREAD], model="big")
    found = checks_of(planned(tmp_path, own, baseline=baseline, text=text))["length_gap", "margin"]
    assert found.bound == "2 worse"


def test_before_the_last_look_a_margin_decides_nothing(tmp_path: Path) -> None:
    own = earlier(tmp_path, SPREAD)
    text = TEXT.replace("audits:", "looks: {plan: pocock, of: 2}\naudits:")
    suite = gender(tmp_path, text)
    first = replace(suite, look=Look(1, 2, "pocock"))
    for each, decides in ((first, "no"), (suite, "doubtful")):
        chosen = [Chosen(each, entry, entry.checks) for entry in each.audits]
        planner = Planner(FakeEngine(), (own,))
        plan = Plan("tiny", "", planner.plan(chosen, planner.foresee(chosen)))
        assert checks_of(plan)["length_gap", "margin"].decides == decides


def test_half_a_file_of_samples_does_no_harm(tmp_path: Path) -> None:
    own = earlier(tmp_path, SPREAD)
    file = tmp_path / "samples.jsonl.gz"
    file.write_bytes(file.read_bytes()[:-40])
    assert checks_of(planned(tmp_path, own))["length_gap", "limit"].decides == "yes"
    file.write_bytes(b"nothing")
    assert checks_of(planned(tmp_path, own))["length_gap", "limit"].floor is None


def test_without_an_earlier_run_assumptions_are_said_to_be_assumptions(tmp_path: Path) -> None:
    found = checks_of(planned(tmp_path))
    assert found["refusal_gap", "limit"].decides == "doubtful"
    assert "assumed: half the whole" in found["refusal_gap", "limit"].source
    assert found["length_gap", "limit"].decides == "unknown"
    assert "it decides with a standard deviation up to" in found["length_gap", "limit"].reason
    assert found["length_gap", "margin"].decides == "unknown"


def test_too_few_templates_cannot_decide_whatever_the_spread(tmp_path: Path) -> None:
    plan = planned(tmp_path, earlier(tmp_path, SPREAD), clusters=8)
    assert {check.decides for _, check in plan.ranked()} == {"no"}
    assert all("design: 8 clusters" in check.reason for _, check in plan.ranked())


def test_the_time_is_that_of_the_same_audit_in_proportion(tmp_path: Path) -> None:
    run = earlier(tmp_path, SPREAD)
    assert planned(tmp_path, run).audits[0].seconds == pytest.approx(20.0)
    text = TEXT.replace("samples: 4", "samples: 8")
    assert planned(tmp_path, run, text=text).audits[0].seconds == pytest.approx(40.0)


def test_rates_come_from_audits_that_the_model_answered(tmp_path: Path) -> None:
    run = earlier(tmp_path, SPREAD)
    assert measured_rates([run]).generated == pytest.approx(100.0)
    audit = run.audits[0]
    kept = replace(run, audits=(replace(audit, timing=replace(audit.timing, kept=1)),))
    both = replace(run, audits=(replace(audit, timing=replace(audit.timing, scored_tokens=5)),))
    assert measured_rates([kept, replace(run, smoke=True)]) == Rates()
    assert measured_rates([both]).generated is None
    assert measured_rates([]).source == UNMEASURED


def test_a_stored_answer_takes_no_time() -> None:
    work = Workload(requests=10, completions=10, new_tokens=1000)
    rates = Rates(generated=100.0)
    assert seconds_of(work, rates, "a") == pytest.approx(10.0)
    assert seconds_of(work, rates, "a", stored=5) == pytest.approx(5.0)
    assert seconds_of(replace(work, scored_tokens=1), rates, "a") is None


def test_a_calibration_measures_every_sort_that_is_asked_for() -> None:
    asked: list[Request] = [
        *(Generate(f"a {number}", "c", sampling=Sampling(max_new_tokens=500)) for number in range(20)),
        *(Score("a", " b c", "c") for _ in range(20)),
    ]
    engine = FakeEngine(capabilities=frozenset({Generate, Score}))
    rates = calibrate(engine, [*asked, Embed("x", "c")], seconds=0.5)
    assert rates.generated is not None
    assert rates.scored is not None
    assert rates.other is None
    assert all(each.sampling.max_new_tokens <= 16 for each in engine.requests if isinstance(each, Generate))


def test_what_cannot_decide_comes_first(tmp_path: Path) -> None:
    plan = planned(tmp_path, earlier(tmp_path, [4 * value for value in SPREAD], within=8.0))
    lines = list(plan_lines(plan))
    assert lines[0] == "cannot decide: 1 check"
    assert lines[1].startswith("  s/gender::length_gap (limit below 2): needs ")
    assert any(line.startswith("perhaps cannot decide") for line in lines)
    assert any(line.startswith("1 audit ") for line in lines)


def test_the_plan_is_plain_json(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    read = json.loads(json.dumps(to_plain(plan.plain()), allow_nan=False))
    assert read["totals"]["work"]["requests"] == 192
    assert read["audits"][0]["checks"][0]["check"] == "length_gap"


def test_totals_add_up_and_what_is_unknown_stays_unknown() -> None:
    parts = [AuditPlan(str(n), "k", Workload(n, longest=n), 1, float(n), None, ()) for n in (1, 2)]
    totals = Plan("m", "", tuple(parts)).totals
    assert (totals.work.requests, totals.work.longest, totals.stored, totals.seconds) == (3, 2, 2, 3.0)
    assert totals.money is None


def test_work_counts_what_each_sort_of_request_takes() -> None:
    asked = Foreseen((Score("a b", " c d e", "1"), Embed("x y", "1")), complete=True)
    work = workload(asked, FakeEngine())
    assert (work.requests, work.scored_tokens, work.other, work.prompt_tokens, work.longest) == (2, 3, 1, 7, 5)


def test_an_early_look_is_planned_at_its_own_level(tmp_path: Path) -> None:
    run = earlier(tmp_path, SPREAD)
    once = checks_of(planned(tmp_path, run))["length_gap", "limit"]
    looked = TEXT.replace("audits:", "looks: {plan: obrien_fleming, of: 3}\naudits:", 1)
    last = checks_of(planned(tmp_path, run, text=looked))["length_gap", "limit"]
    assert once.detectable is not None
    assert last.detectable is not None
    assert once.detectable < last.detectable < 1.1 * once.detectable
