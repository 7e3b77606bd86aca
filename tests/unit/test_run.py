"""What a run stores: plain data that reads back as itself, or says why it cannot."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.audit import Bars, Intervals, Setting, Table
from llmaudit.errors import RunError
from llmaudit.families import adjust_p_values
from llmaudit.records import (
    AuditRecord,
    EstimateRecord,
    Evidence,
    LimitRecord,
    Outcome,
    Record,
    ScorerRecord,
    SuiteRecord,
    Timing,
    Waiver,
    to_plain,
)
from llmaudit.run import SCHEMA_VERSION, Run, load_run
from llmaudit.types import Estimate, Interval, ModelInfo


def estimate(metric: str = "gap", p_value: float | None = 0.04, **changes: Any) -> EstimateRecord:
    known = Estimate(
        metric=metric,
        value=0.125,
        interval=Interval(-0.5, 0.75, 0.90, "t on cluster means"),
        unit="points",
        better="lower",
        n=240,
        clusters=12,
        missing=3,
        p_value=p_value,
        effect_size=0.3,
        cluster_values={"{group} are": 0.1, "in {group}": math.nan},
        details={"null mean": 0.05, "null 95th percentile": math.inf},
    )
    return EstimateRecord.of(replace(known, **changes), "largest gap")


def record(number: int = 0, p_value: float | None = 0.04, **changes: Any) -> Record:
    known = Record(
        id=f"id{number}",
        suite="s",
        audit="gender",
        kind="bias",
        check="gap",
        metric="gap",
        role="confirmatory",
        verdict="fail",
        reason="90% interval 0.1 to 0.2 lies above 0.05",
        limit=LimitRecord(max=0.05, why="a convention"),
        estimate=estimate(p_value=p_value),
    )
    return replace(known, **changes)


def run(**changes: Any) -> Run:
    audit = AuditRecord(
        id="s/gender",
        suite="s",
        audit="gender",
        kind="bias",
        question="Do answers differ?",
        settings=(Setting("samples", "10"),),
        limitations=("It cannot tell.",),
        scorers=(ScorerRecord("length", "1", "number of words", "words", "not validated"),),
        estimates=(estimate(), estimate("gap.a-b", None, interval=None, problem="too much is missing")),
        figures=(
            Intervals("Means", "points", (("a", 0.5, None, None), ("b", 1.0, 0.5, 1.5)), zero=True, limits=(-1.0, 1.0)),
            Bars("Premium", "ratio", (("deu", 1.5), ("kat", None)), reference=1.0),
            Bars("Nothing", "ratio", ()),
        ),
        tables=(Table("Missing", ("group", "n", "share"), (("a", 3, 0.5), ("3", 3, None)), "a note", first=True),),
        notes=("One.",),
        prompts=("Women are", "Men are"),
        timing=Timing(1.5, 20, 300, 0),
        order=1,
    )
    known = Run(
        schema_version=SCHEMA_VERSION,
        run_id="abc",
        started="2026-11-01T10:00:00+00:00",
        finished="2026-11-01T10:01:00+00:00",
        llmaudit_version="0.1.0",
        model=ModelInfo("m", "m", "hf", sha256="00", parameters=135, dtype="float32", facts={"layers": 2, "x": "y"}),
        environment={"cores": 2, "gpus": [{"name": "H100"}], "git_commit": None},
        seed=7,
        smoke=False,
        complete=True,
        suites=(SuiteRecord("s", "a suite", "suites/s.audit.yaml", "00"),),
        plan=("suites/s.audit.yaml::gender::gap",),
        audits=(audit,),
        records=(
            record(
                evidence=(Evidence("Women are", "grün, 猫 \u2028", {"group": "women", "n": 1}, {"length": None}),),
                waiver=Waiver("known", "2027-01-01"),
                p_adjusted=0.08,
                adjustment="Holm over 2",
                family=2,
            ),
            record(1, estimate=None, verdict="skipped", reason="too slow", gates=False),
        ),
        notes=("A note.",),
    )
    return replace(known, **changes)


def stored(folder: Path, text: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(run().to_json() if text is None else text, encoding="utf-8")
    return folder


def test_a_run_reads_back_as_itself(tmp_path: Path) -> None:
    loaded = load_run(stored(tmp_path))
    assert loaded == run()
    assert loaded.folder == tmp_path
    assert loaded.to_json() == run().to_json()


def test_a_run_without_a_model_reads_back_as_itself(tmp_path: Path) -> None:
    empty = run(model=None, audits=(), records=(), complete=False)
    assert load_run(stored(tmp_path, empty.to_json())) == empty


@pytest.mark.parametrize("name", ["", "run.json"])
def test_a_run_is_named_by_its_folder_or_file(tmp_path: Path, name: str) -> None:
    stored(tmp_path)
    assert load_run(tmp_path / name).run_id == "abc"
    assert load_run(str(tmp_path / name)).folder == tmp_path


def test_latest_is_a_file_that_names_the_newest_run(tmp_path: Path) -> None:
    stored(tmp_path / "m" / "2026-11-01")
    (tmp_path / "latest").write_text("m/2026-11-01\n", encoding="utf-8")
    assert load_run(tmp_path / "latest").folder == tmp_path / "m" / "2026-11-01"


def test_latest_may_name_a_run_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "latest").write_text("m/2026-11-01", encoding="utf-8")
    with pytest.raises(RunError, match="there is no run here"):
        load_run(tmp_path / "latest")


def test_the_stored_text_is_json_without_numbers_that_json_lacks() -> None:
    text = run().to_json()
    data = json.loads(text, parse_constant=pytest.fail)
    assert "folder" not in data
    assert data["schema_version"] == SCHEMA_VERSION
    assert data["timings"] == {
        "s/gender": {"seconds": 1.5, "requests": 20, "generated_tokens": 300, "scored_tokens": 0, "kept": 0}
        | {"engine_seconds": 0.0}
    }
    assert data["audits"][0]["estimates"][0]["cluster_values"] == {"{group} are": 0.1, "in {group}": None}
    assert data["audits"][0]["estimates"][0]["details"] == {"null mean": 0.05, "null 95th percentile": None}
    assert "猫" in text


def test_half_a_surrogate_pair_can_be_stored(tmp_path: Path) -> None:
    # An endpoint may send one; UTF-8 has no form for it.
    odd = run(notes=("\ud800!",))
    assert load_run(stored(tmp_path, odd.to_json())).notes == ("?!",)


def test_an_estimate_is_flattened() -> None:
    flat = estimate(value=math.nan, p_value=math.nan, effect_size=math.inf)
    assert (flat.value, flat.p_value, flat.effect_size) == (None, None, None)
    assert (flat.low, flat.high, flat.level, flat.method) == (-0.5, 0.75, 0.90, "t on cluster means")
    assert flat.description == "largest gap"


def test_an_estimate_without_an_interval_says_why_by_its_method() -> None:
    assert estimate(interval=None).method == "none"
    assert estimate(interval=None, deterministic=True).method == "exact for these stimuli"
    assert estimate(interval=None).low is None


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("gone", None, r"gone: there is no run here; give the folder of a run or its run\.json"),
        ("run.json", "", "not a readable run.json"),
        ("run.json", "{", "not a readable run.json"),
        ("run.json", "[]", "not a readable run.json"),
        ("run.json", "3", "not a readable run.json"),
        ("run.json", "{}", "not a readable run.json"),
        ("run.json", '{"schema_version": 2}', f"schema version 2, this llmaudit reads up to {SCHEMA_VERSION}; upgrade"),
        ("run.json", '{"schema_version": "1"}', "schema version 1"),
        ("run.json", '{"schema_version": null}', "schema version None"),
        ("run.json", '{"schema_version": 1}', "damaged at run_id: Field required"),
    ],
)
def test_what_is_no_run(tmp_path: Path, path: str, content: str | None, message: str) -> None:
    if content is not None:
        stored(tmp_path, content)
    with pytest.raises(RunError, match=message):
        load_run(tmp_path / path)


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"run\.json: there is no run here"):
        load_run(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match=r"not a readable run\.json"):
        load_run(tmp_path)


@given(st.floats(0, 0.999))
def test_a_run_cut_short_anywhere_is_refused(tmp_path_factory: pytest.TempPathFactory, share: float) -> None:
    text = run().to_json().rstrip()
    folder = stored(tmp_path_factory.mktemp("cut"), text[: int(share * len(text))])
    with pytest.raises(RunError, match=r"not a readable run\.json"):
        load_run(folder)


def test_damage_is_said_with_its_place(tmp_path: Path) -> None:
    data = json.loads(run().to_json())
    data["records"][1]["verdict"] = "perhaps"
    with pytest.raises(RunError, match=r"damaged at records\.1\.verdict: Input should be 'pass'"):
        load_run(stored(tmp_path, json.dumps(data)))


def test_keys_that_a_later_version_added_are_ignored(tmp_path: Path) -> None:
    data = json.loads(run().to_json())
    data["new"] = data["records"][0]["new"] = 1
    assert load_run(stored(tmp_path, json.dumps(data))) == run()


class Word(StrEnum):
    HELLO = "hello"


@dataclass
class Inner:
    numbers: tuple[Any, ...]
    names: Mapping[Any, Any]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (math.nan, None),
        (math.inf, None),
        (1.5, 1.5),
        (3, 3),
        (True, True),
        (None, None),
        ("x", "x"),
        (Word.HELLO, "hello"),
        (Path("a/b"), "a/b"),
        ((1, [2, {3}]), [1, [2, [3]]]),
        (
            Inner((1, math.nan), {1: Inner((), {})}),
            {"numbers": [1, None], "names": {"1": {"numbers": [], "names": {}}}},
        ),
        (np.float64(0.5), 0.5),
        (np.float64("nan"), None),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        ([np.int32(1), np.float32("inf")], [1, None]),
    ],
    ids=lambda value: f"{type(value).__name__} {value!r:.20}",
)
def test_everything_becomes_exact_builtins(value: object, plain: object) -> None:
    found = to_plain(value)
    assert found == plain
    assert type(found) is type(plain)
    if isinstance(found, list) and isinstance(plain, list):
        assert [type(item) for item in found] == [type(item) for item in plain]


def test_counts_of_outcomes() -> None:
    assert run().counts() == {"fail": 1, "skipped": 1}


def test_estimates_are_a_tidy_frame() -> None:
    frame = run().estimates()
    assert frame[["suite", "audit", "kind"]].drop_duplicates().to_numpy().tolist() == [["s", "gender", "bias"]]
    assert frame["metric"].tolist() == ["gap", "gap.a-b"]
    assert frame["value"].tolist() == [0.125, 0.125]
    assert {"low", "high", "level", "n", "clusters", "missing", "unit", "p_value"} <= set(frame.columns)
    assert not {"cluster_values", "details"} & set(frame.columns)


def test_samples_are_a_tidy_frame(tmp_path: Path) -> None:
    lines = [
        {"suite": "s", "asked": "x?", "text": "y", "factors": {"group": "a"}, "scores": {"length": 1.0}},
        {"suite": "s", "asked": "z?", "error": "no", "factors": {"group": "b"}, "scores": {"length": None}},
    ]
    stored(tmp_path)
    with gzip.open(tmp_path / "samples.jsonl.gz", "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)
    frame = load_run(tmp_path).samples()
    assert frame["factor.group"].tolist() == ["a", "b"]
    assert frame["score.length"].tolist()[0] == 1.0
    assert math.isnan(frame["score.length"].tolist()[1])
    assert frame["asked"].tolist() == ["x?", "z?"]


def test_samples_that_were_not_copied(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"samples\.jsonl\.gz: the samples of this run are not here"):
        load_run(stored(tmp_path)).samples()


def family(*p_values: float | None, declared: int, role: str = "confirmatory") -> tuple[Record, ...]:
    return tuple(
        record(number, p, role="exploratory" if role == "exploratory" else "confirmatory", family=declared)
        for number, p in enumerate(p_values)
    )


def adjusted(records: tuple[Record, ...]) -> list[float | None]:
    return [each.p_adjusted for each in adjust_p_values(records)]


def test_holm_over_the_confirmatory_checks_of_a_suite() -> None:
    # Smallest times 3, next times 2, next times 1, never falling.
    records = adjust_p_values(family(0.01, 0.04, 0.03, declared=3))
    assert [each.p_adjusted for each in records] == pytest.approx([0.03, 0.06, 0.06])
    assert {each.adjustment for each in records} == {"Holm over 3"}


def test_benjamini_and_hochberg_over_the_exploratory_ones() -> None:
    # .03 * 3/2 = .045 is lowered to the .04 * 3/3 behind it.
    records = adjust_p_values(family(0.01, 0.04, 0.03, declared=3, role="exploratory"))
    assert [each.p_adjusted for each in records] == pytest.approx([0.03, 0.04, 0.04])
    assert {each.adjustment for each in records} == {"Benjamini-Hochberg over 3"}


def test_a_check_without_a_p_value_counts_as_one() -> None:
    assert adjusted(family(0.01, None, declared=2)) == [pytest.approx(0.02), None]


def test_an_incomplete_family_is_not_adjusted_and_says_so() -> None:
    records = adjust_p_values(family(0.01, 0.04, declared=3))
    assert [each.p_adjusted for each in records] == [None, None]
    assert {each.adjustment for each in records} == {"not adjusted: 2 of the 3 checks of the family ran"}


@pytest.mark.parametrize("verdict", ["skipped", "error"])
def test_a_check_that_did_not_run_leaves_its_family_incomplete(verdict: Outcome) -> None:
    first, second = family(0.01, 0.04, declared=2)
    records = adjust_p_values((first, replace(second, estimate=None, verdict=verdict)))
    assert records[0].adjustment == "not adjusted: 1 of the 2 checks of the family ran"
    assert records[1].adjustment == ""


def test_roles_and_suites_are_families_of_their_own() -> None:
    here = family(0.01, 0.04, declared=2)
    there = tuple(replace(each, id=f"t{each.id}", suite="t", family=1) for each in family(0.02, declared=1))
    screen = tuple(replace(each, id=f"e{each.id}") for each in family(0.03, declared=1, role="exploratory"))
    assert adjusted((*here, *there, *screen)) == pytest.approx([0.02, 0.04, 0.02, 0.03])


def test_deterministic_checks_belong_to_no_family() -> None:
    exact = record(9, estimate=estimate(deterministic=True, p_value=None), family=1)
    records = adjust_p_values((*family(0.01, declared=1), exact))
    assert [each.adjustment for each in records] == ["Holm over 1", ""]


def test_adjusting_keeps_order_and_everything_else() -> None:
    records = family(0.04, 0.01, declared=2)
    found = adjust_p_values(records)
    assert [replace(each, p_adjusted=None, adjustment="") for each in found] == list(records)
    assert adjust_p_values(()) == ()
