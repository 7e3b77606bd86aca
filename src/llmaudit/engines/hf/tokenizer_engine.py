"""A tokenizer as an engine of its own: no weights are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.files import local_folder
from llmaudit.engines.hf.loading import load_tokenizer, tokenizer_facts
from llmaudit.engines.hf.tokenization import cut, vocabulary_digest
from llmaudit.engines.models import resolve
from llmaudit.types import Failure, ModelInfo, Request, Response, Tokenize

__all__ = ["TokenizerEngine"]


class TokenizerEngine:
    """Answers Tokenize with a tokenizer alone: no weights are read."""

    capabilities: frozenset[type[Request]] = frozenset({Tokenize})

    def __init__(self, options: EngineOptions) -> None:
        source = resolve(options.model, options.aliases)
        folder = local_folder(source, options.revision, weights=False)
        self._tokenizer = load_tokenizer(folder)
        resolved = Path(source.location).name if source.kind in {"folder", "gguf"} else source.location
        facts = tokenizer_facts(self._tokenizer)
        self.info = ModelInfo(
            options.model, resolved, "tokenizer", options.revision, tokenizer=self.vocabulary, facts=facts
        )

    @property
    def vocabulary(self) -> str:
        """SHA-256 of the tokenizer's vocabulary."""
        return vocabulary_digest(self._tokenizer)

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Answer in order."""
        for index, request in enumerate(requests):
            if isinstance(request, Tokenize):
                yield index, cut(self._tokenizer, request.text)
            else:
                yield index, Failure(f"a tokenizer alone does not answer {type(request).__name__}")

    def close(self) -> None:
        """Nothing to free but a few megabytes."""
