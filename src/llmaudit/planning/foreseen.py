"""What an audit is going to ask, without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from llmaudit.audit import Audit, two_per_cell
from llmaudit.engines.base import Engine, Variant
from llmaudit.engines.fake import FakeEngine
from llmaudit.errors import LLMAuditError
from llmaudit.types import Factor, Request, Sample, Tokenize

__all__ = ["Foreseen", "foresee"]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The requests of one audit, as far as they are known before any is answered."""

    requests: tuple[Request, ...]
    complete: bool
    """False where later requests depend on answers: what a text costs, or who codes it."""
    copies: int = 1
    """How often they are asked: once more of every variant."""


def foresee(audit: Audit[Any], tokenizer: Engine, *, smoke: bool = False) -> Foreseen:
    """Return what an audit is going to ask; `tokenizer` answers Tokenize, as the model's own would.

    An audit that cuts texts first, and asks by their tokens, is followed up to the first question that takes a model.
    """
    requests = tuple(audit.requests())
    if _later(audit, requests):
        followed = _follow(audit, tokenizer)
        requests = followed if len(followed) > len(requests) else requests
    complete = not _later(audit, requests)
    if smoke:
        requests = tuple(two_per_cell(requests))
    return Foreseen(requests, complete, 1 + len(audit.params.variants))


def _later(audit: Audit[Any], requests: Iterable[Request]) -> bool:
    """Whether the kind asks something of another type that is not among these requests."""
    return bool(audit.needs - {type(request) for request in requests})


def _follow(audit: Audit[Any], tokenizer: Engine) -> tuple[Request, ...]:
    rehearsal = _Rehearsal(tokenizer)
    with suppress(_Answerless, LLMAuditError):
        audit.run(rehearsal)
    return tuple(rehearsal.asked)


class _Answerless(Exception):  # noqa: N818 - no error: the rehearsal ends here
    """A request that only the model could answer."""


class _Rehearsal:
    """A context that notes what is asked and answers what a tokenizer alone can."""

    def __init__(self, tokenizer: Engine) -> None:
        self.asked: list[Request] = []
        self._tokenizer = tokenizer
        facts: Mapping[str, Factor] = tokenizer.info.facts
        self.engine: Engine = FakeEngine()
        self.engine.info = replace(self.engine.info, facts={**self.engine.info.facts, **facts})
        self.smoke = False
        self.progress: Callable[[int, int], None] = lambda *_: None

    def answer(self, requests: Iterable[Request], engine: Engine | None = None) -> list[Sample]:
        """Answer texts that are to be cut; end the rehearsal at anything else."""
        asked = list(requests)
        self.asked += asked
        if engine is not None or not all(isinstance(request, Tokenize) for request in asked):
            raise _Answerless
        responses = dict(self._tokenizer.run(asked))
        return [Sample(request, responses[index]) for index, request in enumerate(asked)]

    def open_tokenizer(self, model: str) -> Engine:
        """Another tokenizer is not needed to foresee what is asked."""
        raise _Answerless(model)

    def open_model(self, variant: Variant) -> Engine:
        """Nor is another model."""
        raise _Answerless(variant)
