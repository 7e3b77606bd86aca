"""A small kind, and suites that use it."""

from __future__ import annotations

import datetime
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pytest
from pydantic import Field, ValidationInfo, field_validator, model_validator

from llmaudit.audit import Audit, AuditParams, Measurement, Metric, Name, Spec
from llmaudit.errors import SuiteError
from llmaudit.suite import Suite, load_suite
from llmaudit.types import Request, Sample

TODAY = datetime.date(2026, 11, 1)


class Group(Spec):
    """One group."""

    noun: str
    """The noun phrase."""
    number: str = "plural"


class FakeParams(AuditParams):
    """The parameters of the fake."""

    templates: list[str]
    """Prompts with slots."""
    groups: dict[Name, Group] = Field(min_length=2)
    samples: int = Field(default=10, ge=2)
    greedy: bool = False
    scorers: list[str] = Field(default=["length"])

    @field_validator("scorers")
    @classmethod
    def _known(cls, names: list[str], info: ValidationInfo) -> list[str]:
        if odd := set(names) - set((info.context or {})["scorers"]):
            raise ValueError(f"no such scorer: {', '.join(sorted(odd))}")
        return names

    @model_validator(mode="after")
    def _greedy(self) -> FakeParams:
        if self.greedy and self.samples > 2:
            raise ValueError("greedy answers are all the same: two samples will do")
        return self


class FakeAudit(Audit[FakeParams]):
    """Does the fake differ between groups?

    This paragraph is not its question.
    """

    kind = "fake"
    Params = FakeParams
    needs: ClassVar[frozenset[type[Request]]] = frozenset()

    @property
    def metrics(self) -> Mapping[str, Metric]:
        if "forbidden" in self.params.groups:
            raise ValueError("the group 'forbidden' has no metrics")
        if "broken" in self.params.groups:
            raise RuntimeError("a defect of the kind")
        names = ("length_gap", "length_gap.women-men", "refusal_gap", "premium.deu_Latn")
        return {name: Metric("a gap", "words", "lower") for name in names}

    def requests(self) -> Iterator[Request]:
        return iter(())

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        return Measurement({})


class OtherParams(AuditParams):
    """Parameters without samples."""

    depth: int


class OtherAudit(Audit[OtherParams]):
    """How deep is it?"""

    kind = "other"
    Params = OtherParams
    needs: ClassVar[frozenset[type[Request]]] = frozenset()

    @property
    def metrics(self) -> Mapping[str, Metric]:
        return {"depth": Metric("the depth", "steps", "lower")}

    def requests(self) -> Iterator[Request]:
        return iter(())

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        return Measurement({})


class Length:
    """Counts characters."""

    name = "length"
    version = "1"
    unit = "characters"
    description = "How long a text is."
    sees_terms = False

    def score(self, texts: Sequence[str]) -> list[float]:
        return [float(len(text)) for text in texts]


class Load(Protocol):
    def __call__(self, text: str, samples: int | None = None) -> Suite: ...


class Refuse(Protocol):
    def __call__(self, text: str, samples: int | None = None) -> list[str]: ...


GOOD = """\
suite: a good one
description: It asks little.
audits:
  gender:
    kind: fake
    templates:
      - "{group} are"
      - "I saw {group}"
    groups:
      women: {noun: women}
      men: {noun: men}
    samples: 4
    checks:
      length_gap: {max: 3, why: a convention}
      length_gap.women-men:
        max: 2
  depth:
    kind: other
    depth: 3
    checks:
      depth: {role: exploratory}
"""


@pytest.fixture
def kinds() -> dict[str, type[Audit[Any]]]:
    return {"fake": FakeAudit, "other": OtherAudit}


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def load(tmp_path: Path, kinds: dict[str, type[Audit[Any]]]) -> Load:
    def load(text: str, samples: int | None = None) -> Suite:
        path = tmp_path / "s.audit.yaml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return load_suite(path, kinds=kinds, scorers={"length": Length()}, seed=7, samples=samples, today=TODAY)

    return load


@pytest.fixture
def refuse(tmp_path: Path, load: Load) -> Refuse:
    """Load a suite that is wrong and return its problems without the path."""

    def refuse(text: str, samples: int | None = None) -> list[str]:
        with pytest.raises(SuiteError) as caught:
            load(text, samples)
        prefix = f"{tmp_path / 's.audit.yaml'}:"
        assert all(problem.startswith(prefix) for problem in caught.value.problems)
        return [problem.removeprefix(prefix) for problem in caught.value.problems]

    return refuse
