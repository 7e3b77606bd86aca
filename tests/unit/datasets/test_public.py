from __future__ import annotations

from pathlib import Path

import pytest

from llmaudit.audits.pairs import pytest_llmaudit_audits
from llmaudit.datasets import public_suites
from llmaudit.errors import SuiteError
from llmaudit.suite import load_suite

NAMES = ["bbq.audit.yaml", "crows_pairs.audit.yaml", "stereoset.audit.yaml", "winobias.audit.yaml"]


@pytest.mark.parametrize("name", NAMES)
def test_a_suite_of_a_public_set_lacks_nothing_but_its_data(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object) -> None:
        raise ValueError("no hub here")

    monkeypatch.setattr("llmaudit.audits.pairs.from_hub", offline)
    suites = public_suites()
    assert list(suites) == NAMES
    (tmp_path / name).write_text(suites[name], encoding="utf-8")
    with pytest.raises(SuiteError) as caught:
        load_suite(tmp_path / name, kinds={kind.kind: kind for kind in pytest_llmaudit_audits()}, scorers={})
    (problem,) = caught.value.problems
    assert "no hub here" in problem or "there is no file or folder" in problem
