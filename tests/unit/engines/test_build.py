"""Which engine a name gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.build import ENGINES, build_engine, build_tokenizer
from llmaudit.engines.fake import FakeEngine
from llmaudit.errors import ModelError
from llmaudit.types import Generate


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("fke", r"--engine fke: not an engine; did you mean 'fake'\? \(known: auto, hf, tokenizer, openai, fake\)"),
        ("xyzzy", r"--engine xyzzy: not an engine \(known: auto, "),
        ("", "not an engine"),
    ],
)
def test_an_unknown_engine(engine: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_engine(EngineOptions("m", engine=engine))


def test_the_fake_engine_takes_any_model_name_and_the_seed() -> None:
    engine = build_engine(EngineOptions("whatever", engine="fake", seed=3))
    assert engine.info.name == "whatever"
    asked = [Generate("x", "c")]
    assert list(engine.run(asked)) == list(FakeEngine(seed=3).run(asked))
    assert build_tokenizer(EngineOptions("other", engine="fake")).info.name == "other"


@pytest.mark.parametrize("engine", ["auto", "hf", "tokenizer"])
def test_a_model_that_does_not_exist_is_said_before_anything_is_loaded(engine: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such folder"):
        build_engine(EngineOptions(str(tmp_path / "gone"), engine=engine))


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine not in {"fake", "openai"}])
def test_a_misspelt_model_is_hinted_at(engine: str) -> None:
    with pytest.raises(ModelError, match="did you mean 'gpt2'"):
        build_engine(EngineOptions("gtp2", engine=engine))


def test_the_fake_engine_needs_no_torch() -> None:
    code = (
        "import sys; from llmaudit.engines.base import EngineOptions; from llmaudit.engines.build import build_engine;"
        "build_engine(EngineOptions('m', engine='fake')); print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
