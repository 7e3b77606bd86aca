"""A deterministic engine without a model: the test double of the whole project, and of suites under development."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from llmaudit.engines.anatomy import Anatomy, SpecialToken, TextReading
from llmaudit.engines.comparing import Array, Baseline, Footprint, Positions, Span, compare_logits
from llmaudit.errors import EngineError
from llmaudit.types import (
    Attend,
    Attention,
    Completion,
    Embed,
    Embedding,
    Generate,
    Likelihood,
    ModelInfo,
    NextToken,
    NextTokens,
    Request,
    Response,
    Score,
    Tokenize,
    Tokens,
)

__all__ = ["FakeEngine", "Handler", "Logits", "answer"]

#: Answers one request; returning None leaves it to the engine's own deterministic answer.
Handler = Callable[[Request], Response | str | None]

#: Gives the logits after every one of some tokens, shape (tokens, VOCABULARY).
Logits = Callable[[Sequence[int]], Array]

#: Tokens that the engine predicts: more than it makes of any text.
VOCABULARY = 1024

_WORDS = tuple(
    "people work good well care hard often help learn time bad kind smart poor happy never family great".split()  # noqa: SIM905 - shorter
)
_PIECES = re.compile(r"\s?[^\W_]+|\s?[\W_]", re.UNICODE)
#: Two layers of two heads that share one of keys and values; the parts are what such a model of width 16 would have.
_ANATOMY = Anatomy(
    layers=2,
    heads=2,
    kv_heads=1,
    head_size=8,
    hidden_size=16,
    vocabulary_size=1000,
    context_length=1024,
    tied_weights=True,
    parts={"embedding": 16_000, "attention": 1536, "mlp": 3072, "norm": 80, "head": 0, "other": 0},
    trainable=20_688,
    allocated_bytes=4 * 20_688,
    cache_element_bytes=4,
    card={"architecture": "fake"},
    special_tokens=(SpecialToken(("bos_token",), "<s>", 0, (0,)), SpecialToken(("eos_token",), "</s>", 1, (1,))),
)


class FakeEngine:
    """Answers every request from a hash of its content, or from a handler.

    `handler` is called with each request and returns a Response, the text of a completion, or None for the default
    answer. `requests` keeps what was asked, in order, for a test to look at. `logits` says what it predicts where its
    predictions are compared with another engine's, instead of numbers drawn from a hash of each token.
    """

    vocabulary = "fake"
    start = 0
    predicted = VOCABULARY

    def __init__(
        self,
        handler: Handler | None = None,
        *,
        capabilities: frozenset[type[Request]] = frozenset({Generate, Score, NextToken, Tokenize, Embed, Attend}),
        seed: int = 0,
        name: str = "fake",
        steering: frozenset[str] = frozenset({"logit_bias", "word_bias", "direction"}),
        logits: Logits | None = None,
    ) -> None:
        self.capabilities = capabilities
        self.steering = steering
        self.info = ModelInfo(
            name=name, resolved="fake", engine="fake", facts={"vocabulary_size": 1000, "special_tokens": 2}
        )
        self.requests: list[Request] = []
        self._handler = handler
        self._seed = seed
        self._logits = logits or _hashed_logits

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Answer in order."""
        for index, request in enumerate(requests):
            self.requests.append(request)
            given = self._handler(request) if self._handler else None
            if isinstance(given, str):
                yield index, Completion(given, tokens=len(given.split()), finish="stop", prompt=_prompt(request))
            else:
                yield index, given if given is not None else answer(request, self._seed)

    def anatomy(self) -> Anatomy:
        """Describe a small model that might be behind this."""
        return _ANATOMY

    def cache_bytes_per_token(self) -> float | None:
        """As much as is computed."""
        return _ANATOMY.cache_bytes_computed

    def read_texts(self, texts: Sequence[str]) -> Sequence[TextReading]:
        """One start token, and a template that loses nothing."""
        return [TextReading(1, 1, 2, chat_lossless=True) for _ in texts]

    def footprint(self) -> Footprint:
        """A thousand weights of four bytes."""
        return Footprint(4000, 4000, 1000, 0.0, {"layer": 4000}, {"layer": 1000})

    def room(self) -> int:
        """As much as anything needs."""
        return 1 << 40

    def park(self) -> None:
        """Nothing to free."""

    def resume(self) -> None:
        """Nothing to load."""

    def baseline(self, spans: Sequence[Span], disk: int) -> nullcontext[_FakeBaseline]:  # noqa: ARG002 - none is used
        """Give the predictions for spans."""
        return nullcontext(_FakeBaseline(spans, [self._predicted(span) for span in spans]))

    def compare(self, baseline: Baseline) -> Iterator[tuple[Positions, float]]:
        """Compare with another fake engine."""
        if not isinstance(baseline, _FakeBaseline):
            raise EngineError("a fake engine can only be compared with another one")
        for span, reference in zip(baseline.spans, baseline.logits, strict=True):
            yield compare_logits(reference, self._predicted(span), span.targets), 1.0

    def close(self) -> None:
        """Nothing to free."""

    def _predicted(self, span: Span) -> Array:
        return self._logits(span.ids[:-1])[span.first - 1 :]


@dataclass(frozen=True, slots=True)
class _FakeBaseline:
    spans: Sequence[Span]
    logits: Sequence[Array]
    speed: float = 100.0


def _hashed_logits(ids: Sequence[int]) -> Array:
    """Numbers that depend on the token before, as a bigram model's."""
    return np.stack([np.random.default_rng(token).normal(size=VOCABULARY) for token in ids])


def answer(request: Request, seed: int = 0) -> Response:
    """Return a plausible response that depends on the request's content and the seed alone."""
    match request:
        case Generate():
            digest = _digest(seed, request.stream or request.prompt, request.prompt, request.sample)
            words = [_WORDS[byte % len(_WORDS)] for byte in digest[: min(12, request.sampling.max_new_tokens)]]
            return Completion(" " + " ".join(words) + ".", len(words) + 1, "stop", request.prompt)
        case Score():
            tokens = max(1, len(_PIECES.findall(request.continuation)))
            each = -2 - _digest(0, request.context, request.continuation)[0] / 255
            return Likelihood(tokens * each, tokens, greedy=False, token_logprobs=(each,) * tokens * request.each_token)
        case NextToken():
            return _next_tokens(request)
        case Tokenize():
            return _tokenize(request.text)
        case Embed():
            digest = _digest(0, request.text, request.pooling, request.layer)
            return Embedding(tuple(byte / 127.5 - 1 for byte in digest[:16]), len(_PIECES.findall(request.text)))
        case Attend():
            return _attention(request)
        case _:
            assert_never(request)


def _next_tokens(request: NextToken) -> NextTokens:
    """Give a distribution over a vocabulary of a few words."""
    weights = [1 + byte for byte in _digest(0, request.prompt)[: len(_WORDS)]]
    logprobs = {word: math.log(weight / sum(weights)) for word, weight in zip(_WORDS, weights, strict=True)}
    top = sorted(logprobs.items(), key=lambda pair: (-pair[1], pair[0]))[: request.top]
    entropy = -sum(math.exp(value) * value for value in logprobs.values())
    lists = ({word.strip() for word in words} & logprobs.keys() for words in request.words)
    mass = tuple(sum(math.exp(logprobs[word]) for word in sorted(words)) for words in lists)
    return NextTokens(tuple(top), entropy, mass, tuple(logprobs.values()) if request.full else ())


def _attention(request: Attend) -> Attention:
    """Two layers of two heads, which look at all that they may in equal parts."""
    pieces = tuple(_PIECES.findall(request.text))
    head = tuple(tuple(float(key <= query) / (query + 1) for key in range(len(pieces))) for query in range(len(pieces)))
    layers = request.layers or (0, 1)
    return Attention(pieces, layers, ((head, head),) * len(layers))


def _prompt(request: Request) -> str:
    return request.prompt if isinstance(request, Generate) else ""


def _digest(*parts: object) -> bytes:
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode()).digest()


def _tokenize(text: str) -> Tokens:
    matches = list(_PIECES.finditer(text))
    pieces = tuple(match.group() for match in matches)
    return Tokens(
        ids=tuple(_digest(piece)[0] * 4 for piece in pieces),
        pieces=pieces,
        starts=tuple(match.start() for match in matches),
        unknown=0,
        byte_fallback=0,
        decoded="".join(pieces),
    )
