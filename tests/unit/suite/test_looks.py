"""How a suite declares that it is looked at more than once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmaudit.audit import Audit
from llmaudit.errors import SuiteError
from llmaudit.stats import look_levels
from llmaudit.suite import AtLook, Look, Suite, load_suite
from tests.unit.suite.conftest import TODAY, Length

Kinds = dict[str, type[Audit[Any]]]


def load(path: Path, kinds: Kinds, text: str, samples: int | AtLook | None = None) -> Suite:
    file = path / "s.audit.yaml"
    file.write_text(text, encoding="utf-8")
    return load_suite(file, kinds=kinds, scorers={"length": Length()}, samples=samples, today=TODAY)


def looked(good: str, line: str = "looks: {plan: pocock, of: 4}") -> str:
    return good.replace("audits:", f"{line}\naudits:", 1)


def test_a_look_has_its_share_of_the_samples_and_of_the_error(tmp_path: Path, kinds: Kinds, good: str) -> None:
    declared = load(tmp_path, kinds, looked(good))
    assert declared.look == Look(4, 4, "pocock")
    all_of_them = declared.audits[0].audit.params.samples
    second = load(tmp_path, kinds, looked(good), AtLook(2))
    assert second.look == Look(2, 4, "pocock")
    assert second.audits[0].audit.params.samples == -(-all_of_them * 2 // 4)
    assert second.look is not None
    assert second.look.level == pytest.approx(1 - 2 * look_levels("pocock", 4)[1])
    assert str(second.look) == "look 2 of 4 (pocock, 96.2% intervals)"


def test_every_look_has_a_level_that_an_interval_can_have() -> None:
    for of in range(2, 11):
        assert 0.9 < Look(of, of, "obrien_fleming").level < Look(1, of, "obrien_fleming").level < 1
    assert str(Look(1, 5, "obrien_fleming")) == "look 1 of 5 (obrien-fleming, 99.998% intervals)"


def test_without_looks_there_is_none(tmp_path: Path, kinds: Kinds, good: str) -> None:
    assert load(tmp_path, kinds, good).look is None


@pytest.mark.parametrize(
    ("line", "samples", "words"),
    [
        ("", AtLook(1), ":1:1: --look 1: this suite declares no looks; declare them before the first one"),
        ("looks: {plan: pocock, of: 4}", AtLook(5), "looks: --look 5: this suite declares 4 looks"),
        ("looks: {plan: pocock, of: 4}", 9, "looks: --samples 9: this suite declares how its samples grow"),
        ("looks: {plan: haybittle, of: 4}", None, "looks.plan: "),
        ("looks: {plan: pocock, of: 1}", None, "looks.of: "),
        ("looks: {plan: obrien_fleming, of: 11}", None, "looks.of: "),
        ("looks: {plan: pocock}", None, "missing key 'of'"),
    ],
)
def test_wrong_looks_are_refused_with_their_place(
    tmp_path: Path, kinds: Kinds, good: str, line: str, samples: int | AtLook | None, words: str
) -> None:
    with pytest.raises(SuiteError) as caught:
        load(tmp_path, kinds, looked(good, line), samples)
    assert words in "\n".join(caught.value.problems)
