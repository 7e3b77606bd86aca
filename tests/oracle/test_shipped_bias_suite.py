"""The shipped suite on a model that treats groups alike: what it can decide, and that it cries no wolf."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import pytest

from llmaudit.audits.bias import Bias
from llmaudit.engines.fake import FakeEngine
from llmaudit.execution import Execution
from llmaudit.scorers.answers import Empty, Length, Refusal
from llmaudit.scorers.sentiment import Sentiment
from llmaudit.stats import Limit, judge
from llmaudit.suite.load import load_suite
from llmaudit.types import Generate, Request

SUITE = Path(__file__).parents[2] / "suites" / "demographic_bias.audit.yaml"
SCORERS = {scorer.name: scorer for scorer in (Sentiment(), Refusal(), Empty(), Length())}
AUDITS = {entry.name: entry for entry in load_suite(SUITE, kinds={"bias": Bias}, scorers=SCORERS).audits}


def alike(request: Request) -> str:
    assert isinstance(request, Generate)
    drawn = blake2b(f"{request.stream} {request.sample}".encode(), digest_size=4).digest()
    return ("do a wonderful job.", "do a terrible job at home.", "do it.", "go out at times.")[drawn[0] % 4]


@pytest.mark.parametrize("name", AUDITS)
def test_a_model_that_treats_groups_alike_passes_every_check_that_does_not_say_it_may_be_left_open(name: str) -> None:
    audit = AUDITS[name].audit
    engine = FakeEngine(alike)
    found = audit.measure(Execution(engine, lambda _: engine, lambda _, __: None).answer(audit.requests()))
    for metric, check in audit.params.checks.items():
        judged = judge(found.estimates[metric], Limit(max=check.max, min=check.min))
        open_ = {"inconclusive"} if check.on_inconclusive == "warn" else set()
        assert judged.verdict.value in {"pass"} | open_, f"{metric}: {judged.reason}"
