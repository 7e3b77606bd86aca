from __future__ import annotations

from llmaudit.report.provenance import environment_rows, model_rows, session_rows
from llmaudit.run import Run


def test_a_nested_environment_is_flattened(run: Run) -> None:
    rows = dict(environment_rows(run.environment))
    assert rows["command"] == "pytest suites/ --model smollm2-135m-instruct -k not slow"
    assert rows["packages.torch"] == "2.13.0+cpu"
    assert rows["hardware.gpus.1.name"] == "H100"
    assert rows["hardware.swap"] == "–"
    assert rows["git.dirty"] == "yes"


def test_odd_environments() -> None:
    assert environment_rows({}) == []
    assert environment_rows({"a": {}, "b": [], "c": [[1, 2], 3]}) == [
        ("a", "–"), ("b", "–"), ("c.1", "1 2"), ("c.2", "3"),
    ]  # fmt: skip


def test_model_and_session(run: Run) -> None:
    model = dict(model_rows(run.model))
    assert model["SHA-256 of the weights"] == "ab" * 32
    assert model["parameters"] == "134,515,008"
    assert model["context length"] == "2,048"
    assert model["quantization"] == "–"
    assert model_rows(None) == [("model", "none was loaded")]
    assert dict(session_rows(run))["seed"] == "20261122"
