"""Kind performance, on machines that are made up."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from llmaudit.audit import Curves, Intervals, Measurement
from llmaudit.audits.performance import Performance, pytest_llmaudit_audits
from llmaudit.engines.base import EngineOptions
from llmaudit.engines.fake import FakeEngine
from llmaudit.engines.launches import LaunchFailure, Workload
from llmaudit.errors import CapabilityError, EngineError, SuiteError
from llmaudit.execution import finish
from llmaudit.noise_floor import measure_noise
from llmaudit.recording import audit_record, record_check
from llmaudit.stats import Limit, judge
from llmaudit.suite import AuditEntry, CheckEntry, Place, Suite, load_suite
from llmaudit.types import ModelInfo, Verdict
from tests.unit.performance.machines import Launching, Machine, execution, observed, performance

STAR: dict[str, Any] = {
    "batch_sizes": [1, 2, 4],
    "prompt_tokens": [32, 128, 256],
    "new_tokens": 8,
    "design": "one_at_a_time",
}


LOAD: dict[str, Any] = {
    "kind": "performance",
    "load": {"closed": {"users": 2}},
    "prompts": ["Tell me"],
    "checks": {"ttft": {"max": 1}},
}


def measured(machine: Machine | None = None, **changes: Any) -> Measurement:
    made = machine or Machine()
    audit = performance(made, **changes)
    return audit.measured(observed(audit, made))


def crashed(number: int, arm: str = "half", reason: Any = "crashed") -> LaunchFailure:
    return LaunchFailure(arm, number, reason, "it ended with signal 11", 1.5)


def write(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "speed.audit.yaml"
    path.write_text(f"suite: speed\naudits:\n  fast:\n    kind: performance\n{body}", encoding="utf-8")
    return path


def load(path: Path) -> Suite:
    return load_suite(path, kinds={"performance": Performance}, scorers={})


def test_a_planted_slowdown_is_measured_and_fails_its_limit() -> None:
    found = measured(Machine(slower={"half": 1.15}, seed=2), checks={"speed_ratio.half": {"min": 0.95}})
    estimate = found.estimates["speed_ratio.half"]
    assert estimate.value == pytest.approx(1 / 1.15, rel=0.03)
    assert estimate.interval is not None
    assert estimate.interval.low < 1 / 1.15 < estimate.interval.high
    assert (estimate.clusters, estimate.n, estimate.missing) == (10, 20, 0)
    assert judge(estimate, Limit(min=0.95)).verdict is Verdict.FAIL
    assert estimate.p_value is not None
    assert estimate.p_value < 0.01
    assert 0 < estimate.details["Mann-Whitney p"] < 0.01


def test_the_same_model_is_as_fast_as_itself() -> None:
    found = measured(Machine(seed=2)).estimates
    for name in ("speed_ratio", "ttft_ratio", "load_ratio", "memory_ratio"):
        interval = found[f"{name}.half"].interval
        assert interval is not None
        assert interval.low < 1 < interval.high


def test_a_drift_of_the_machine_cancels() -> None:
    # A fifth slower from the first launch to the last, which no pair of launches may take for the arm.
    found = measured(Machine(drift=0.01, noise=lambda rng: 0.0)).estimates["speed_ratio.half"]
    assert found.value == pytest.approx(1, abs=0.01)


def test_every_metric_is_declared_and_measured() -> None:
    audit = performance(**STAR, threads=[2, 1], largest_batch=64)
    found = audit.measured(observed(audit, Machine()))
    assert set(found.estimates) == set(audit.metrics)
    for name, estimate in found.estimates.items():
        assert estimate.metric == name
        assert estimate.unit == audit.metrics[name].unit
        assert estimate.better == audit.metrics[name].better


def test_every_metric_is_there_though_no_launch_came_back() -> None:
    audit = performance(**STAR, largest_batch=64)
    order = [spec.arm for spec in audit.plan(Launching()).specs()]
    machine = Machine(fails={number: crashed(number, arm) for number, arm in enumerate(order)})
    found = audit.measured(observed(audit, machine))
    assert set(found.estimates) == set(audit.metrics)
    assert all(math.isnan(each.value) and each.problem for each in found.estimates.values())
    assert all(judge(each, Limit(max=1)).verdict is Verdict.INCONCLUSIVE for each in found.estimates.values())
    assert found.tables[0].first


def test_the_whole_time_is_the_first_token_and_the_time_per_token_of_the_others() -> None:
    audit = performance()
    for result in observed(audit, Machine()).results:
        for timed in result.timed:
            for each in timed.repetitions:
                assert each.tpot is not None
                whole = each.ttft + (timed.workload.new_tokens - 1) * each.tpot
                assert whole == pytest.approx(each.seconds, rel=0.01)


def test_the_cell_metrics_fit_together() -> None:
    found = {name: estimate.value for name, estimate in measured(batch_sizes=4).estimates.items()}
    cell = "model.b4-p64-n16"
    assert found[f"ttft.{cell}"] == pytest.approx(0.138, rel=0.05)
    assert found[f"tpot.{cell}"] == pytest.approx(0.028, rel=0.05)
    assert found[f"decode_rate.{cell}"] == pytest.approx(4 / found[f"tpot.{cell}"], rel=0.01)
    assert found[f"prefill_rate.{cell}"] == pytest.approx(256 / found[f"ttft.{cell}"], rel=0.01)
    assert found[f"request_rate.{cell}"] == pytest.approx(4 / (0.138 + 15 * 0.028), rel=0.05)
    assert found[f"byte_rate.{cell}"] == found[f"character_rate.{cell}"]
    assert found[f"itl.{cell}"] == pytest.approx(found[f"tpot.{cell}"], rel=0.02)
    per_step = 538_060_032 + 4 * (64 + 8) * 46_080
    assert found[f"mbu.{cell}"] == pytest.approx(per_step / found[f"tpot.{cell}"] / 2e10, rel=0.01)
    operations = 2 * 134_515_008 + 4 * 30 * 9 * 64 * 32
    assert found[f"mfu.{cell}"] == pytest.approx(operations * found[f"prefill_rate.{cell}"] / 5e10, rel=0.01)


def test_the_cache_is_weighed_against_its_formula() -> None:
    found = measured().estimates
    assert found["kv_bytes_per_token.model"].value == pytest.approx(46_080)
    assert found["kv_error.model"].value == pytest.approx(0, abs=1e-9)
    assert found["kv_bytes_per_token"].deterministic
    assert found["parameter_bytes.half"].value == 538_060_032


def test_what_the_machine_does_not_tell_is_no_number() -> None:
    found = measured().estimates
    for name in ("memory_tensors", "memory_process.model", "joules_per_token", "joules_per_token.half.b1-p64-n16"):
        assert math.isnan(found[name].value)
        assert "n/a" in str(found[name].problem)


def test_growth_is_fitted_with_its_knee() -> None:
    found = measured(**STAR).estimates
    assert found["batch_slope.model"].value == pytest.approx(0.002, rel=0.2)
    assert found["batch_knee.model"].value == pytest.approx(10, rel=0.3)
    assert found["prompt_slope.model"].value == pytest.approx(0.0005, rel=0.05)
    assert found["prompt_knee.model"].value == pytest.approx(20, rel=0.5)
    assert found["batch_gain.model"].value == pytest.approx(4 * 0.022 / 0.028, rel=0.05)
    for name in ("batch_slope", "prompt_slope", "prompt_knee", "batch_gain"):
        interval = found[f"{name}.half"].interval
        assert interval is not None
        assert interval.low <= found[f"{name}.half"].value <= interval.high


def test_a_knee_needs_three_sizes() -> None:
    found = measured(batch_sizes=[1, 4]).estimates["batch_knee.model"]
    assert math.isnan(found.value)
    assert found.problem == "n/a: a knee needs 3 sizes, and there are 2"


def test_far_percentiles_need_many_times() -> None:
    found = measured(repetitions=2).estimates
    few = found["ttft_p99.model.b1-p64-n16"]
    assert few.value > 0
    assert few.interval is None
    assert few.problem is not None
    assert few.problem.startswith("n too small: 20 times are worth ")
    assert few.problem.endswith("a 99% percentile needs 299")
    median = found["itl_p50.model.b1-p64-n16"]
    assert median.interval is not None
    assert median.problem is None


def test_a_launch_that_crashes_costs_itself_only() -> None:
    order = [spec.arm for spec in performance(launches=12).plan(Launching()).specs()]
    lost = [order.index("half"), len(order) - 1 - order[::-1].index("model")]
    fails = {lost[0]: crashed(lost[0]), lost[1]: crashed(lost[1], "model", "hung")}
    found = measured(Machine(fails=fails), launches=12)
    estimate = found.estimates["speed_ratio.half"]
    assert estimate.clusters == 10
    assert estimate.missing == 4
    assert estimate.problem is None
    assert found.tables[0].title == "Launches that gave nothing"
    assert len(found.tables[0].rows) == 2
    assert any(note.startswith("1 of 12 launches of half gave nothing: crashed") for note in found.notes)


def test_fewer_than_ten_good_pairs_decide_nothing() -> None:
    machine = Machine(slower={"half": 2.0}, fails={1: crashed(1)})
    estimate = measured(machine).estimates["speed_ratio"]
    assert estimate.problem == (
        "half: 9 of 10 pairs of launches came back whole, a t interval needs 10: raise launches"
    )
    assert judge(estimate, Limit(min=0.95)).verdict is Verdict.INCONCLUSIVE


def test_what_only_the_first_launch_measures_is_lost_with_it_and_says_so() -> None:
    first = [spec.arm for spec in performance(launches=11).plan(Launching()).specs()].index("half")
    found = measured(Machine(fails={first: crashed(first)}), launches=11, largest_batch=64).estimates
    cell = "half.b1-p64-n16"
    for name in ("kv_error.half", "kv_bytes_per_token.half", "largest_batch.half", f"mbu.{cell}", f"mfu.{cell}"):
        assert math.isnan(found[name].value)
        assert found[name].problem == "the first launch of half, which was to measure this, gave nothing: crashed"
    for name in ("kv_error.model", "parameter_bytes.half", f"tpot.{cell}", "mbu.model.b1-p64-n16"):
        assert found[name].problem is None


def test_spare_launches_make_up_for_those_that_are_lost() -> None:
    machine = Machine(slower={"half": 2.0}, fails={1: crashed(1)})
    estimate = measured(machine, launches=11).estimates["speed_ratio"]
    assert (estimate.problem, estimate.clusters, estimate.missing) == (None, 10, 2)
    assert judge(estimate, Limit(min=0.95)).verdict is Verdict.FAIL


def test_too_few_launches_by_design_are_told_as_such() -> None:
    estimate = measured(launches=4).estimates["speed_ratio.half"]
    assert estimate.problem == "design: 4 good pairs of launches, a t interval needs 10: add launches"


def test_a_machine_that_others_use_decides_nothing_about_times() -> None:
    found = measured(Machine(busy=lambda spec: 0.5 if spec.number < 5 else 0.0)).estimates
    assert "not quiet: in 5 of 20 launches others used more than 20%" in str(found["speed_ratio"].problem)
    assert judge(found["tpot.model.b1-p64-n16"], Limit(max=1e-9)).verdict is Verdict.INCONCLUSIVE
    assert found["memory_ratio"].problem is None
    assert found["memory_uss.model"].problem is None


def test_a_batch_that_does_not_fit_is_a_finding_and_the_others_are_measured() -> None:
    found = measured(Machine(holds=8), batch_sizes=[1, 64])
    for name in ("tpot.model.b64-p64-n16", "itl_p95.half.b64-p64-n16", "speed_ratio.half.b64-p64-n16"):
        assert "b64-p64-n16 does not fit the memory that" in str(found.estimates[name].problem)
    assert found.estimates["tpot.model.b1-p64-n16"].problem is None
    assert "b64-p64-n16 did not fit into memory in 10 of 10 launches of model." in found.notes


def test_one_disturbed_launch_is_a_note() -> None:
    found = measured(Machine(busy=lambda spec: 0.5 if spec.number == 5 else 0.0))
    assert found.estimates["speed_ratio"].problem is None
    assert "In 1 of 20 launches others used more than 20% of the machine." in found.notes


def test_an_arm_that_is_refused_is_asked_once_and_the_others_go_on() -> None:
    order = [spec.arm for spec in performance().plan(Launching()).specs()]
    refused = {number: crashed(number, arm, "refused") for number, arm in enumerate(order) if arm == "half"}
    machine = Machine(fails=refused)
    audit = performance(machine)
    found, samples = audit.run(execution())
    assert samples == ()
    assert [spec.arm for spec in machine.asked].count("half") == 1
    assert [spec.arm for spec in machine.asked].count("model") == 10
    assert "refused" in str(found.estimates["speed_ratio.half"].problem)
    assert found.estimates["tpot.model.b1-p64-n16"].problem is None


def test_an_arm_that_keeps_crashing_is_given_up() -> None:
    order = [spec.arm for spec in performance().plan(Launching()).specs()]
    machine = Machine(fails={number: crashed(number, arm) for number, arm in enumerate(order) if arm == "half"})
    found, _ = performance(machine).run(execution())
    assert [spec.arm for spec in machine.asked].count("half") == 3
    assert any("7 launches of half were not made any more" in note for note in found.notes)


def test_a_smoke_run_launches_every_form_once() -> None:
    machine = Machine()
    performance(machine).run(execution(smoke=True))
    assert sorted(spec.arm for spec in machine.asked) == ["half", "model"]
    assert {spec.repetitions for spec in machine.asked} == {1}


def test_threads_and_a_reference_are_forms_too() -> None:
    params = performance(threads=[2, 1], reference={"model": "gpt2"}).params
    assert [(arm.name, arm.threads) for arm in params.arms] == [
        ("reference", 2),
        ("model", 2),
        ("half", 2),
        ("threads_1", 1),
    ]
    audit = performance(threads=[2, 1], reference={"model": "gpt2"})
    assert {"speed_ratio.model", "speed_ratio.threads_1", "speed_ratio.half"} <= set(audit.metrics)
    assert "speed_ratio.reference" not in audit.metrics


def test_a_form_is_loaded_as_its_variant_says() -> None:
    class Half(Launching):
        options = EngineOptions(model="here", quantization="nf4", revision="v1")

    audit = performance(variants={"half": {"dtype": "bfloat16"}, "other": {"model": "there"}})
    options = {spec.arm: spec.options for spec in audit.plan(Half()).specs()}
    assert (options["half"].model, options["half"].dtype, options["half"].quantization) == ("here", "bfloat16", "nf4")
    assert (options["other"].model, options["other"].quantization, options["other"].revision) == ("there", None, None)


def test_designs() -> None:
    crossed = performance(batch_sizes=[1, 4], prompt_tokens=[32, 64], new_tokens=[8]).params.workloads
    assert crossed == (Workload(1, 32, 8), Workload(1, 64, 8), Workload(4, 32, 8), Workload(4, 64, 8))
    star = performance(batch_sizes=[1, 4], prompt_tokens=[32, 64], new_tokens=8, design="one_at_a_time")
    assert star.params.workloads == (Workload(1, 32, 8), Workload(1, 64, 8), Workload(4, 32, 8))


def test_a_prompt_beyond_the_context_is_an_error_before_anything_is_launched() -> None:
    class Short(Launching):
        info = ModelInfo("short", "fake", "fake", facts={"context_length": 64})

        def __init__(self) -> None:
            super().__init__()
            self.info = Short.info

    machine = Machine()
    with pytest.raises(EngineError, match="short: 64 prompt tokens and 16 new ones are 80"):
        performance(machine).run(execution(Short()))
    assert machine.asked == []


def test_an_engine_without_a_model_of_its_own_is_skipped() -> None:
    with pytest.raises(CapabilityError, match="the engine fake runs no model"):
        performance().run(execution(FakeEngine()))


def test_a_limit_on_a_time_names_its_machine_or_is_refused_at_its_place(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "    checks:\n      tpot.model.b1-p64-n16: {max: 0.05, why: x}\n      memory_uss: {max: 900, why: x}\n"
        "      ttft_p90: {role: exploratory}\n      load_seconds:\n        max: 2\n",
    )
    with pytest.raises(SuiteError) as caught:
        load(path)
    first, second = caught.value.problems
    assert first.startswith(f"{path}:6:36: audits.fast.checks.tpot.model.b1-p64-n16.max: a limit on tpot holds for one")
    assert f"{path}:10:14: " in second


def test_limits_hold_on_the_machine_they_name_and_decide_nothing_elsewhere() -> None:
    here = measured(hardware="processors", checks={"tpot": {"max": 1.0}}).estimates["tpot"]
    assert judge(here, Limit(max=1.0)).verdict is Verdict.PASS
    elsewhere = measured(hardware="Deep Thought", checks={"tpot": {"max": 1.0}}).estimates
    assert "the limits hold for hardware 'Deep Thought'" in str(elsewhere["tpot"].problem)
    assert elsewhere["speed_ratio"].problem is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_sizes": [1, 1]}, "1 stands here twice"),
        ({"batch_sizes": []}, "at least 1 item"),
        ({"prompt_tokens": 0}, "greater than or equal to 1"),
        ({"new_tokens": 1}, "greater than or equal to 2"),
        ({"variants": {"model": {"dtype": "float16"}}}, "what the report calls another form"),
        ({"variants": {"a": {"dtype": "float16"}, "b": {"dtype": "float16"}}}, "and b are the same variant"),
        ({"hardware": "("}, "not a regular expression"),
        ({"quiet": 1.5}, "less than or equal to 1"),
        ({"launches": 0}, "greater than or equal to 1"),
        ({"timeout": 0}, "greater than 0"),
    ],
)  # fmt: skip
def test_bad_parameters(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        performance(**changes)


def test_too_few_launches_are_said_before_anything_runs() -> None:
    checks = {"speed_ratio": {"min": 0.9}, "kv_error": {"max": 0.02}, "ttft_ratio": {"role": "exploratory"}}
    problems = performance(launches=4, checks=checks).problems()
    assert problems == {"speed_ratio": "design: 4 launches, a t interval needs 10: add launches"}
    assert performance().problems() == {}


def test_figures_and_tables() -> None:
    found = measured(**STAR)
    titles = [figure.title for figure in found.figures]
    assert titles == [
        "Tokens written per second: each form beside model",
        "Time to the first token: each form beside model",
        "Most memory: each form beside model",
        "Throughput over batch size",
        "Latency over prompt length",
        "Memory over context",
    ]
    assert isinstance(found.figures[0], Intervals)
    curves = found.figures[3]
    assert isinstance(curves, Curves)
    assert [curve.name for curve in curves.panels[0].curves] == ["model", "half"]
    assert [point[0] for point in curves.panels[0].curves[0].points] == [1, 2, 4]
    assert [table.title for table in found.tables] == ["What each form takes", "How fast each form is", "The launches"]
    assert len(found.tables[2].rows) == 20


def test_a_run_is_recorded_and_judged() -> None:
    machine = Machine(slower={"half": 0.7})
    audit = performance(machine, checks={"speed_ratio.half": {"min": 1.2}})
    place = Place(1, 1)
    check = CheckEntry("speed_ratio.half", audit.params.checks["speed_ratio.half"], place, "hash")
    entry = AuditEntry("fast", audit, (check,), place)
    suite = Suite("speed", "", Path("speed.audit.yaml"), "00", (entry,))
    running = execution()
    done = finish(entry, suite, running)
    assert record_check(done, check).verdict == "pass"
    record = audit_record(done)
    assert {setting.name for setting in record.settings} >= {"machine", "batch sizes", "launches", "variant half"}
    assert measure_noise(done, running) == ()


def test_the_same_launches_give_the_same_measurement() -> None:
    assert measured(Machine(seed=3)).estimates == measured(Machine(seed=3)).estimates
    orders = [[spec.workloads for spec in performance(**STAR).plan(Launching()).specs()] for _ in range(2)]
    assert orders[0] == orders[1]
    assert len(set(orders[0])) > 1


def test_it_measures_nothing_from_answers() -> None:
    assert list(performance().requests()) == []
    with pytest.raises(NotImplementedError):
        performance().measure([])


def test_it_offers_itself() -> None:
    assert pytest_llmaudit_audits() == [Performance]


def test_the_worst_variant_is_the_bare_name() -> None:
    variants = {"half": {"dtype": "bfloat16"}, "slow": {"dtype": "float16"}}
    found = measured(Machine(slower={"slow": 2.0}), variants=variants).estimates
    assert found["speed_ratio"].value == found["speed_ratio.slow"].value
    bare, facet = found["speed_ratio"].interval, found["speed_ratio.slow"].interval
    assert bare is not None
    assert facet is not None
    assert bare.high - bare.low > facet.high - facet.low
    cells = [found["speed_ratio.slow.b1-p64-n16"].value, found["speed_ratio.slow"].value]
    assert np.allclose(cells, cells[0])


def test_a_load_takes_the_place_of_launches() -> None:
    audit = Performance(Performance.Params.model_validate(LOAD), scorers={}, seed=1)
    assert {"ttft", "requests_per_second", "failure_rate"} <= set(audit.metrics)
    assert "ttft_p99" in audit.problems()
    assert {setting.name for setting in audit.settings()} >= {"load closed", "prompts"}
    with pytest.raises(CapabilityError, match="the engine fake is no server"):
        audit.run(execution())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prompts": []}, "needs prompts"),
        ({"batch_sizes": [2], "quiet": 0.5}, "leave batch_sizes, quiet out"),
        ({"load": None}, "leave prompts out, or give a load"),
    ],
)
def test_a_load_and_launches_do_not_mix(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Performance.Params.model_validate({**LOAD, **changes})
