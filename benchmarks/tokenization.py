"""What the tokenization audit takes for a megabyte of text in 32 languages, with the tokenizer alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import yaml

from benchmarks import table
from benchmarks.figures import Figure, Outcome
from llmaudit.audits.tokenization import Tokenization
from llmaudit.engines.base import EngineOptions
from llmaudit.engines.build import build_tokenizer
from llmaudit.execution import Execution

__all__ = ["parallel_text", "tokenization"]

_SUITE = Path(__file__).parents[1] / "suites" / "tokenization.audit.yaml"
_LANGUAGES = 32
_BYTES = 1_000_000


def tokenization(model: str, repetitions: int) -> Outcome:
    """Audit the text, statistics and figures included, as often as asked; all of it in a quick run too."""
    text, documents = parallel_text(_shipped(), _LANGUAGES, _BYTES)
    items = sum(map(len, text.values()))
    size = sum(len(sentence.encode()) for sentences in text.values() for sentence in sentences)
    table.progress(f"tokenization: {size} bytes in {len(text)} languages")
    engine = build_tokenizer(EngineOptions(model))
    seconds = []
    for _ in range(repetitions):
        started = time.perf_counter()
        params = {"kind": "tokenization", "parallel": text, "clusters": documents, "checks": {"premium": {"max": 2}}}
        audit = Tokenization(Tokenization.Params.model_validate(params), scorers={})
        audit.run(Execution(engine, lambda _: engine, lambda *_: None))
        seconds.append(time.perf_counter() - started)
    median = statistics.median(seconds)
    table.report(table.row("tokenization: audit", sum(seconds), items * repetitions, items / median))
    note = f"{size} bytes, {min(seconds):.3g} to {max(seconds):.3g} s over {repetitions} repetitions"
    return Outcome({"tokenization_seconds": Figure(median, note)})


def parallel_text(
    shipped: Mapping[str, list[str]], languages: int, size: int
) -> tuple[dict[str, list[str]], list[str]]:
    """Return language -> texts of at least `size` bytes in all, and the document of each text.

    A text is two sentences, and no two texts of a language are the same; where there are more languages to fill than
    are shipped, some come again under another name. Raises ValueError where the sentences do not reach so far.
    """
    names = list(shipped)
    columns = {
        f"{names[number % len(names)]}{'_again' * (number // len(names))}": shipped[names[number % len(names)]]
        for number in range(languages)
    }
    sentences = len(shipped[names[0]])
    text: dict[str, list[str]] = {name: [] for name in columns}
    documents: list[str] = []
    total = 0
    for apart, first in product(range(1, sentences), range(sentences)):
        for name, column in columns.items():
            text[name].append(f"{column[first]} {column[(first + apart) % sentences]}")
            total += len(text[name][-1].encode())
        documents.append(str(first))
        if total >= size:
            return text, documents
    raise ValueError(f"{sentences} sentences make {total} bytes in pairs, and not {size}")


def _shipped() -> dict[str, list[str]]:
    """The parallel text of the shipped suite."""
    suite = yaml.safe_load(_SUITE.read_text(encoding="utf-8"))
    found: dict[str, list[str]] = suite["audits"]["languages"]["parallel"]
    return found
