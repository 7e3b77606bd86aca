"""Tokenization audits in a user's project: with a tokenizer alone, and with what cannot be audited."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugin.conftest import Project

_SUITE = """\
suite: costs
audits:
  languages:
    kind: tokenization
    data: {reader: flores, path: flores, languages: [eng_Latn, ell_Grek], limit: 12}
    price: {per_million_tokens: 2.0, currency: EUR}
    examples: 1
    terms: {women: [Eva, Anna], men: [Otto, Max]}
    checks:
      premium: {min: 1.2, why: two bytes a letter}
      normalised_premium: {max: 1, min: 1, role: exploratory}
      tokens.eng_Latn: {max: 1000, why: an exact count}
      vocabulary_size: {max: 256, min: 256, why: a token for every byte}
      round_trip_failures: {max: 0, why: bytes lose nothing}
      exact_term_cost_gap: {max: 0, why: the names are of equal length}
"""


@pytest.fixture
def flores(project: Project) -> Path:
    """Twelve sentences of twelve pages in two languages; the Greek ones have as many letters, of two bytes each."""
    letters = [f"{'a' * (number + 2)}" for number in range(12)]
    project.file("flores/devtest/eng_Latn.devtest", "\n".join(letters) + "\n")
    project.file("flores/devtest/ell_Grek.devtest", "\n".join(each.replace("a", "α") for each in letters) + "\n")
    return project.file("flores/metadata_devtest.tsv", "URL\n" + "\n".join(f"http://{n}" for n in range(12)) + "\n")


def byte_tokenizer(project: Project) -> Path:
    """A folder with a tokenizer and no weights: a token for every byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    config = project.file("bytes/tokenizer_config.json", json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    tokenizer.save(str(config.parent / "tokenizer.json"))
    return config.parent


@pytest.mark.usefixtures("flores")
def test_a_tokenizer_alone_is_enough(project: Project) -> None:
    project.suite(_SUITE)
    project.file("conftest.py", "")
    folder = byte_tokenizer(project)
    project.options = [f"--model={folder}", "--engine=tokenizer", "-pno:hypothesispytest", "-pno:anyio"]
    result = project.spawn(timeout=180)
    result.assert_outcomes(passed=6)
    found = {r.check: r.estimate for r in project.result().records if r.estimate is not None}
    assert found["premium"].value == 2.0
    assert (found["premium"].n, found["premium"].clusters) == (12, 12)
    assert found["normalised_premium"].value == 1.0
    assert found["tokens.eng_Latn"].value == sum(range(2, 14))
    (audit,) = project.result().audits
    assert {"Token by token", "Terms of the groups"} <= {table.title for table in audit.tables}
    assert any(setting.name == "sha256 of ell_Grek.devtest" for setting in audit.settings)


@pytest.mark.usefixtures("flores")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ell_Grek", "ell_Gerk", r"facts.audit.yaml:5:11: audits.languages.data: no sentences in 'ell_Gerk' under *"),
        ("path: flores", "path: flroes", "facts.audit.yaml:5:11: audits.languages.data: there is no folder *"),
        ("2.0", "-1", "*audits.languages.price.per_million_tokens: expected a number greater than 0, got -1"),
        ("[Otto, Max]", "[]", "facts.audit.yaml:8:12: audits.languages.terms: the group men has no terms"),
        ("Otto", "Eva", "facts.audit.yaml:8:12: audits.languages.terms: 'Eva' stands here twice (women, men)"),
    ],
)
def test_a_mistake_is_told_with_its_place(project: Project, old: str, new: str, message: str) -> None:
    project.suite(_SUITE.replace(old, new))
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([message])
    result.stdout.no_fnmatch_line("*Traceback*")
    assert project.loads == []
