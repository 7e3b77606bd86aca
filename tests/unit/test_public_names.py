"""What `import llmaudit` offers is what it says it offers."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import llmaudit

SOURCE = Path(llmaudit.__file__).read_text(encoding="utf-8")


def _typed_names() -> dict[str, str]:
    """Return name -> module of the imports that only a type checker sees."""
    blocks = [node for node in ast.parse(SOURCE).body if isinstance(node, ast.If)]
    imports = [node for node in ast.walk(blocks[0]) if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_the_names_are_sorted_and_distinct() -> None:
    assert llmaudit.__all__ == sorted(set(llmaudit.__all__))


@pytest.mark.parametrize("name", llmaudit.__all__)
def test_every_name_can_be_imported_and_is_public_where_it_lives(name: str) -> None:
    value = getattr(llmaudit, name)
    home = importlib.import_module(_typed_names()[name])
    assert getattr(home, name) is value
    assert name in home.__all__


def test_the_package_offers_nothing_else() -> None:
    assert sorted(_typed_names()) == llmaudit.__all__
    assert dir(llmaudit) == llmaudit.__all__


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Audits'"):
        getattr(llmaudit, "Audits")  # noqa: B009 - mypy knows that it is not there


def test_the_exceptions_are_one_tree() -> None:
    errors = [getattr(llmaudit, name) for name in llmaudit.__all__ if name.endswith("Error")]
    assert all(issubclass(error, llmaudit.LLMAuditError) for error in errors)
    assert issubclass(llmaudit.CapabilityError, llmaudit.EngineError)


def test_a_suite_error_keeps_its_problems() -> None:
    error = llmaudit.SuiteError(["a.yaml:1:1: x", "a.yaml:2:1: y"])
    assert error.problems == ("a.yaml:1:1: x", "a.yaml:2:1: y")
    assert str(error) == "a.yaml:1:1: x\na.yaml:2:1: y"


def test_importing_the_package_imports_nothing_heavy() -> None:
    # pytest imports it in every session of an environment that has it installed.
    heavy = ("torch", "transformers", "numpy", "pandas", "pydantic", "scipy")
    code = f"import sys, llmaudit; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
