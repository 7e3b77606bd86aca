"""The engines that transformers answers for: a whole model, or a tokenizer alone."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.files import local_folder
from llmaudit.engines.hf.generation import Decoded, Decoder, Job
from llmaudit.engines.hf.loading import load_model, load_tokenizer, tokenizer_facts
from llmaudit.engines.hf.noise import row_key
from llmaudit.engines.hf.scoring import next_tokens, score
from llmaudit.engines.hf.tokenization import cut
from llmaudit.engines.models import resolve
from llmaudit.types import (
    Completion,
    Failure,
    Generate,
    ModelInfo,
    NextToken,
    Request,
    Response,
    Score,
    Tokenize,
)

__all__ = ["HFEngine", "TokenizerEngine"]

#: Sequences decoded side by side.
_ROWS = 64

Ids = tuple[int, ...]
R = TypeVar("R", bound=Request)


class TokenizerEngine:
    """Answers Tokenize with a tokenizer alone: no weights are read."""

    capabilities: frozenset[type[Request]] = frozenset({Tokenize})

    def __init__(self, options: EngineOptions) -> None:
        source = resolve(options.model, options.aliases)
        folder = local_folder(source, options.revision, weights=False)
        self._tokenizer = load_tokenizer(folder)
        resolved = Path(source.location).name if source.kind in {"folder", "gguf"} else source.location
        facts = tokenizer_facts(self._tokenizer)
        self.info = ModelInfo(options.model, resolved, "tokenizer", revision=options.revision, facts=facts)

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Answer in order."""
        for index, request in enumerate(requests):
            if isinstance(request, Tokenize):
                yield index, cut(self._tokenizer, request.text)
            else:
                yield index, Failure(f"a tokenizer alone does not answer {type(request).__name__}")

    def close(self) -> None:
        """Nothing to free but a few megabytes."""


class HFEngine:
    """Answers with a causal language model of transformers in this process."""

    capabilities: frozenset[type[Request]] = frozenset({Generate, Score, NextToken, Tokenize})

    def __init__(self, options: EngineOptions) -> None:
        loaded = load_model(options)
        self.info = loaded.info
        self._model: Any = loaded.model
        self._tokenizer = loaded.tokenizer
        self._device = loaded.device
        self._seed = options.seed
        self._context = int(loaded.info.facts.get("context_length", 0)) or None
        self._ends = _end_tokens(loaded.model, loaded.tokenizer)

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Answer, one type of request after the other."""
        for index, request in _of(Tokenize, requests):
            yield index, cut(self._tokenizer, request.text)
        yield from self._score(_of(Score, requests))
        yield from self._next(_of(NextToken, requests))
        yield from self._generate(_of(Generate, requests))

    def close(self) -> None:
        """Drop the weights and give their memory back to the device."""
        self._model = None
        gc.collect()
        if self._device.type != "cpu":
            torch.accelerator.empty_cache()

    def _generate(self, requests: list[tuple[int, Generate]]) -> Iterator[tuple[int, Response]]:
        jobs: list[Job] = []
        asked = dict(requests)
        for index, request in requests:
            if isinstance(ids := self._prompt_ids(request), Failure):
                yield index, ids
            elif failure := self._too_long(len(ids) + request.sampling.max_new_tokens):
                yield index, failure
            else:
                key = row_key(self._seed, request.stream or request.prompt, request.sample)
                jobs.append(Job(index, ids, request.sampling, key))
        prompts = {job.index: job.prompt for job in jobs}
        decoder = Decoder(
            self._model,
            ends=self._ends,
            tokenizer=self._tokenizer,
            rows=_ROWS,
            device=self._device,
            context=self._context,
        )
        for finished in decoder.run(jobs):
            for decoded in finished:
                yield decoded.index, self._completion(decoded, prompts[decoded.index], asked[decoded.index])

    def _completion(self, decoded: Decoded, prompt: Ids, request: Generate) -> Completion:
        # Decoded after the prompt's last token: on its own, SentencePiece drops the space before the first word.
        anchor = self._tokenizer.decode(prompt[-1:], skip_special_tokens=True)
        whole = self._tokenizer.decode([*prompt[-1:], *decoded.tokens], skip_special_tokens=True)
        text = whole[len(anchor) :]
        ends = [place for stop in request.sampling.stop if (place := text.find(stop)) >= 0]
        text = text[: min(ends)] if ends else text
        return Completion(text, decoded.drawn, decoded.finish, self._tokenizer.decode(prompt))

    def _score(self, requests: list[tuple[int, Score]]) -> Iterator[tuple[int, Response]]:
        pairs: list[tuple[Ids, Ids]] = []
        indices: list[int] = []
        for index, request in requests:
            context, continuation = self._context_and_continuation(request)
            if not continuation:
                yield index, Failure(_nothing_to_score(request))
            elif failure := self._too_long(len(context) + len(continuation)):
                yield index, failure
            else:
                pairs.append((context, continuation))
                indices.append(index)
        for place, likelihood in score(self._model, pairs, self._device):
            yield indices[place], likelihood

    def _next(self, requests: list[tuple[int, NextToken]]) -> Iterator[tuple[int, Response]]:
        prompts: list[tuple[Ids, int]] = []
        indices: list[int] = []
        for index, request in requests:
            ids = self._encode(request.prompt) or (self._start_token(),)
            if failure := self._too_long(len(ids)):
                yield index, failure
            else:
                prompts.append((ids, request.top))
                indices.append(index)
        for place, distribution in next_tokens(self._model, self._tokenizer, prompts, self._device):
            yield indices[place], distribution

    def _prompt_ids(self, request: Generate) -> Ids | Failure:
        if not request.chat:
            return self._encode(request.prompt) or (self._start_token(),)
        if not self._tokenizer.chat_template:
            return Failure("the tokenizer has no chat template; ask with raw prompts")
        turns = [{"role": "user", "content": request.prompt}]
        text = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        # The template has written the start token where one belongs.
        return self._encode(text, special=False)

    def _context_and_continuation(self, request: Score) -> tuple[Ids, Ids]:
        """Cut where the tokens of the context end, with its trailing spaces given to the continuation."""
        context = request.context.rstrip(" ")
        text = request.context + request.continuation
        if not context:
            ids = self._encode(text)
            start = self._start_token()
            return (start,), ids[1:] if ids[:1] == (start,) else ids
        ids = self._encode(text)
        length = len(self._encode(context))
        return ids[:length], ids[length:]

    def _encode(self, text: str, *, special: bool = True) -> Ids:
        return tuple(self._tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])

    def _start_token(self) -> int:
        """The token that stands for "nothing yet": the start token, or the end token of models that lack one."""
        for token in (self._tokenizer.bos_token_id, self._tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        return 0

    def _too_long(self, tokens: int) -> Failure | None:
        if self._context is not None and tokens > self._context:
            return Failure(f"{tokens} tokens are more than the model's context of {self._context}")
        return None


def _nothing_to_score(request: Score) -> str:
    if not request.continuation:
        return "the continuation is empty"
    return f"{request.continuation!r} melts into the last token of its context: nothing is left to score"


def _of(kind: type[R], requests: Sequence[Request]) -> list[tuple[int, R]]:
    return [(index, request) for index, request in enumerate(requests) if isinstance(request, kind)]


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    ends = model.generation_config.eos_token_id
    listed = ends if isinstance(ends, list) else [ends]
    return frozenset(int(token) for token in [*listed, tokenizer.eos_token_id] if token is not None)
