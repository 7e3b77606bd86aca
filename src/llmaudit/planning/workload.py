"""Requests, samples and tokens of an audit: the work, whatever machine does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llmaudit.engines.base import Engine
from llmaudit.planning.foreseen import Foreseen
from llmaudit.types import Generate, NextToken, Request, Score, Tokenize, Tokens

__all__ = ["Workload", "count_tokens", "texts_of", "workload"]


@dataclass(frozen=True, slots=True)
class Workload:
    """What one audit, or several, will have a model do."""

    requests: int = 0
    completions: int = 0
    """How many of the requests are answered with text."""
    prompt_tokens: int = 0
    """Tokens that are read; the same prompt counts as often as it is asked. A chat template's own are not counted."""
    new_tokens: int = 0
    """Tokens that are written at most: a model may stop before its limit."""
    scored_tokens: int = 0
    """Tokens whose likelihood is asked for."""
    other: int = 0
    """Requests for anything else: distributions, vectors, attention, tokens."""
    longest: int = 0
    """Tokens of the longest sequence, what is written included."""
    complete: bool = True
    """False where later requests depend on answers, so that all of this is the least there will be."""

    def __add__(self, other: Workload) -> Workload:
        """Return the work of both."""
        return Workload(
            self.requests + other.requests,
            self.completions + other.completions,
            self.prompt_tokens + other.prompt_tokens,
            self.new_tokens + other.new_tokens,
            self.scored_tokens + other.scored_tokens,
            self.other + other.other,
            max(self.longest, other.longest),
            self.complete and other.complete,
        )


def count_tokens(texts: Iterable[str], tokenizer: Engine) -> dict[str, int]:
    """Return the number of tokens of every distinct text, special tokens left out."""
    distinct = list(dict.fromkeys(texts))
    answers = tokenizer.run([Tokenize(text, "plan") for text in distinct])
    return {distinct[index]: len(each.ids) if isinstance(each, Tokens) else 0 for index, each in answers}


def texts_of(request: Request) -> tuple[str, ...]:
    """The texts of a request that a model reads."""
    if isinstance(request, Generate | NextToken):
        return (request.prompt,)
    if isinstance(request, Score):
        return (request.context, request.continuation)
    return (request.text,)


def workload(foreseen: Foreseen, tokenizer: Engine, known: Mapping[str, int] | None = None) -> Workload:
    """Add up what an audit asks. `known` holds token counts that need no counting again."""
    requests = foreseen.requests
    tokens = dict(known or {})
    tokens |= count_tokens((t for each in requests for t in texts_of(each) if t not in tokens), tokenizer)
    once = _of(requests, tokens, complete=foreseen.complete)
    return sum([once] * foreseen.copies, Workload())


def _of(requests: Sequence[Request], tokens: Mapping[str, int], *, complete: bool) -> Workload:
    completions = prompt_tokens = new_tokens = scored = other = longest = 0
    for request in requests:
        read = [tokens[text] for text in texts_of(request)]
        prompt_tokens += sum(read)
        written = 0
        if isinstance(request, Generate):
            completions += 1
            written = request.sampling.max_new_tokens
            new_tokens += written
        elif isinstance(request, Score):
            scored += read[1]
        else:
            other += 1
        longest = max(longest, sum(read) + written)
    return Workload(len(requests), completions, prompt_tokens, new_tokens, scored, other, longest, complete)
