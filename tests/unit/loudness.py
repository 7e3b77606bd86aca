"""A kind of audit to test the rooms around it with: small, and every number known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from llmaudit.audit import Audit, AuditParams, Context, Measurement, Metric, Table
from llmaudit.engines.base import Engine
from llmaudit.engines.fake import FakeEngine
from llmaudit.execution import Execution, Finished, finish
from llmaudit.suite import AuditEntry, CheckEntry, Place, Suite
from llmaudit.types import (
    Estimate,
    Factor,
    Generate,
    Interval,
    Request,
    Sample,
    Score,
    Tokenize,
)

CLUSTERS = 12


class LoudnessParams(AuditParams):
    """Parameters."""

    low: float = 0.2
    high: float = 0.4
    tokenizer: str | None = None
    broken: bool = False


class Loudness(Audit[LoudnessParams]):
    """How loud are the answers?"""

    kind = "loudness"
    Params = LoudnessParams
    needs: ClassVar[frozenset[type[Request]]] = frozenset({Generate, Score})
    limitations: ClassVar[tuple[str, ...]] = ("It has no ears.",)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {
            "loudness": Metric("how loud", "dB", "lower"),
            "size": Metric("how large", "tokens", "lower", deterministic=True),
        }

    def requests(self) -> Iterator[Request]:
        for number in range(CLUSTERS):
            for sample in range(3):
                factors: dict[str, Factor] = {"group": "a", "n": number % 2}
                yield Generate(f"{number}?", f"c{number}", sample=sample, factors=factors)
        yield Score("a", "b", "c0")

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        interval = Interval(self.params.low, self.params.high, 0.90, "t on cluster means")
        values = {f"c{number}": math.nan for number in range(CLUSTERS)}
        loudness = Estimate(
            "loudness", 0.3, interval, "dB", "lower", len(samples), CLUSTERS, p_value=0.01, cluster_values=values
        )
        size = Estimate("size", 5.0, None, "tokens", "lower", 1, 1, deterministic=True)
        return Measurement(
            {"loudness": loudness, "size": size},
            tables=(Table("t", ("a",), ((1,),)),),
            scores={"volume": tuple(float(number) for number in range(len(samples)))},
            evidence={"loudness": tuple(range(min(10, len(samples))))},
            notes=("Loud.",),
        )

    def run(self, context: Context) -> tuple[Measurement, Sequence[Sample]]:
        if self.params.tokenizer:
            other = context.open_tokenizer(self.params.tokenizer)
            context.answer([Tokenize("x", "c")], other)
        if self.params.broken:
            raise RuntimeError("broken")
        return super().run(context)


def audit_entry(checks: Mapping[str, Mapping[str, object]] | None = None, **params: object) -> tuple[Suite, AuditEntry]:
    limits = {"loudness": {"max": 0.5}, "size": {"max": 9}} if checks is None else checks
    parsed = LoudnessParams.model_validate({"kind": "loudness", "checks": limits, **params})
    entries = tuple(CheckEntry(name, check, Place(1, 1), f"hash of {name}") for name, check in parsed.checks.items())
    entry = AuditEntry("loud", Loudness(parsed, scorers={}), entries, Place(1, 1))
    return Suite("s", "", Path("s.audit.yaml"), "00", (entry,)), entry


def execution(engine: Engine | None = None, **changes: object) -> Execution:
    return Execution(
        engine=engine or FakeEngine(),
        tokenizer_of=lambda _: FakeEngine(),
        progress=lambda _, __: None,
        smoke=bool(changes.get("smoke")),
    )


def finished(
    checks: Mapping[str, Mapping[str, object]] | None = None, *, smoke: bool = False, **params: object
) -> Finished:
    suite, entry = audit_entry(checks, **params)
    return finish(entry, suite, execution(smoke=smoke))
