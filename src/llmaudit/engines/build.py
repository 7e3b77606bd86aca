"""The built-in engines, chosen by name."""

from __future__ import annotations

import difflib

from llmaudit.engines.base import Engine, EngineOptions
from llmaudit.engines.fake import FakeEngine
from llmaudit.engines.models import resolve
from llmaudit.errors import ModelError

__all__ = ["ENGINES", "build_engine", "build_tokenizer"]

ENGINES = ("auto", "hf", "tokenizer", "openai", "fake")


def build_engine(options: EngineOptions) -> Engine:
    """Load the engine that `options` ask for. Raises ModelError."""
    if options.engine not in ENGINES:
        close = difflib.get_close_matches(options.engine, ENGINES, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ModelError(f"--engine {options.engine}: not an engine{hint} (known: {', '.join(ENGINES)})")
    if options.engine == "fake":
        return FakeEngine(seed=options.seed, name=options.model)
    name = options.engine
    if name == "auto":
        name = "openai" if resolve(options.model, options.aliases).kind == "endpoint" else "hf"
    # Imported here: torch and transformers take seconds, and an endpoint needs neither.
    if name == "openai":
        from llmaudit.engines.openai import OpenAIEngine  # noqa: PLC0415

        return OpenAIEngine(options)
    from llmaudit.engines.hf.engine import HFEngine  # noqa: PLC0415
    from llmaudit.engines.hf.tokenizer_engine import TokenizerEngine  # noqa: PLC0415

    return TokenizerEngine(options) if name == "tokenizer" else HFEngine(options)


def build_tokenizer(options: EngineOptions) -> Engine:
    """Load the tokenizer of a model as an engine of its own. Raises ModelError."""
    if options.engine == "fake":
        return FakeEngine(seed=options.seed, name=options.model)
    from llmaudit.engines.hf.tokenizer_engine import TokenizerEngine  # noqa: PLC0415 - see build_engine

    return TokenizerEngine(options)
