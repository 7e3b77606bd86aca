from __future__ import annotations

import json
from dataclasses import replace

import pytest

from llmaudit.engines.base import EngineOptions, Variant
from llmaudit.engines.launches import (
    LaunchFailure,
    LaunchSpec,
    Outcome,
    Repetition,
    Shape,
    Workload,
    beyond_context,
    parse_outcome,
)
from llmaudit.performance.launches import Arm, Plan
from tests.unit.performance.recorded import SMALL, result, spec

OWN = EngineOptions("llama", dtype="float32", revision="main", quantization="int8", device="cpu", aliases={"a": "b"})
PLAN = Plan(
    OWN,
    (Arm("model"), Arm("half", Variant(dtype="bfloat16"), threads=1)),
    (SMALL, Workload(4, 64, 3), Workload(8, 64, 3)),
    launches=4,
    cache_lengths=(64, 128),
    largest=Workload(32, 64, 3),
)


@pytest.mark.parametrize(
    "outcome",
    [
        result(spec()),
        replace(result(spec()), cache=(), shape=None, largest=None, ceilings=None, busy=None, others=("process 3",)),
        LaunchFailure("half", 3, "no memory", "b64-p64-n3 does not fit", 2.5),
    ],
)
def test_what_a_launch_answers_survives_the_way_through_json(outcome: Outcome) -> None:
    assert parse_outcome(outcome.to_json()) == outcome


@pytest.mark.parametrize("asked", [spec(), *list(PLAN.specs())[:3]])
def test_what_a_launch_is_asked_survives_the_way_through_json(asked: LaunchSpec) -> None:
    assert LaunchSpec.from_json(asked.to_json()) == asked


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"outcome": "result"}', '{"outcome": "failure", "arm": 1, "x": 2}'])
def test_what_is_no_outcome_is_refused_in_one_way(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own words, or ours
        parse_outcome(text)


def test_unknown_numbers_stay_unknown_in_json() -> None:
    plain = json.loads(result(spec()).to_json())
    assert plain["memory"]["peak"] == {"rss": 1008, "uss": None}
    assert plain["timed"][0]["energy"] is None


def test_time_per_token_is_what_the_end_to_end_time_leaves() -> None:
    measured = Repetition(ttft=0.1, steps=(0.02, 0.03, 0.04), seconds=0.19)
    assert measured.tpot == pytest.approx(0.03)
    assert Repetition(0.1, (), 0.1).tpot is None


def test_costs_follow_from_the_sizes() -> None:
    # SmolLM2-135M in float32: 2 x 30 x 3 x 64 x 4 bytes a token.
    shape = Shape(layers=30, heads=9, kv_heads=3, head_size=64, element_bytes=4)
    assert shape.cache_bytes_per_token == 46_080
    assert shape.attention_flops(1000) == 4 * 30 * 576 * 1000


def test_a_workload_beyond_the_context_is_told_with_its_numbers() -> None:
    workload = Workload(1, 2000, 49)
    assert beyond_context(workload, 2049) is None
    assert beyond_context(workload, None) is None
    assert beyond_context(workload, 2048) == (
        "2000 prompt tokens and 49 new ones are 2049; the model reads 2048 at most"
    )


def test_a_workload_is_named_as_a_facet() -> None:
    assert Workload(4, 128, 32).name == "b4-p128-n32"


def test_an_arm_changes_what_its_variant_names() -> None:
    assert Arm("model").options(OWN) == OWN
    assert Arm("half", Variant(dtype="bfloat16")).options(OWN) == replace(OWN, dtype="bfloat16")
    other = Arm("other", Variant(model="gpt2", quantization="nf4")).options(OWN)
    assert other == replace(OWN, model="gpt2", quantization="nf4", revision=None)
    assert Arm("other", Variant(model="gpt2")).options(OWN).quantization is None


def test_extras_are_due_in_the_first_launch_of_every_arm() -> None:
    specs = list(PLAN.specs())
    assert [each.number for each in specs] == list(range(8))
    for name in ("model", "half"):
        own = [each for each in specs if each.arm == name]
        assert [(each.ceilings, bool(each.cache_lengths), bool(each.largest)) for each in own] == [
            (True, True, True),
            *[(False, False, False)] * 3,
        ]
    assert {each.threads for each in specs if each.arm == "half"} == {1}


def test_every_launch_runs_all_workloads_in_an_order_of_its_own() -> None:
    orders = [each.workloads for each in replace(PLAN, launches=20).specs()]
    assert all(sorted(order, key=lambda each: each.batch) == list(PLAN.workloads) for order in orders)
    assert len(set(orders)) == 6
    assert list(PLAN.specs()) == list(PLAN.specs())
    assert list(PLAN.specs()) != list(replace(PLAN, seed=1).specs())
