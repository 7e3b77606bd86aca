"""What a run records of the machine, without secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmaudit.environment import describe, gpus, mask_secrets, processor


@pytest.mark.parametrize(
    "text",
    [
        "HF_TOKEN=hf_SECRET",
        "OPENAI_API_KEY=sk-SECRET",
        "--llmaudit-key=SECRET",
        "key:SECRET",
        "token=SECRET x",
        "Password: x password=SECRET",
        "http://host/v1?key=SECRET",
        "sk-SECRET",
        "API_KEY=SECRET",
        "MY_TOKEN=SECRET",
        "http://host/v1?api_key=SECRET",
        "--base-url http://user:SECRET@host/v1",
    ],
)
def test_secrets_are_masked(text: str) -> None:
    assert "SECRET" not in mask_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "pytest suites/ --model smollm2-135m-instruct -k gender",
        "pytest -m monkey --seed 3",
        "pytest -k monkey suites/b.audit.yaml",
        "pytest --model /models/tokenizers/x",
        "http://localhost:8000/v1",
    ],
)
def test_what_is_no_secret_is_kept(text: str) -> None:
    assert mask_secrets(text) == text


def test_masking_keeps_what_it_was() -> None:
    assert mask_secrets("a --x-token=abc b sk-123") == "a --x-token=*** b sk-***"


def test_the_description_is_plain_data(tmp_path: Path) -> None:
    found = describe(["suites/", "--model", "m", "--x-key=SECRET"], tmp_path)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["command_line"] == "pytest suites/ --model m --x-key=***"
    assert (found["git_commit"], found["git_changes"]) == (None, False)
    assert found["packages"]["llmaudit"]
    assert "xyzzy" not in found["packages"]
    assert found["cores"] >= 1
    assert found["memory_gib"] > 0
    assert found["gpus"] == gpus()


def test_git_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe([], tmp_path)["git_commit"] is None


def test_the_processor_has_a_name() -> None:
    assert processor()
