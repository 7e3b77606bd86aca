"""The engine that a causal language model of transformers answers for."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import torch

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.encoding import Encoder, Ids
from llmaudit.engines.hf.forward import Forward
from llmaudit.engines.hf.generation import Decoded, Decoder, Job
from llmaudit.engines.hf.loading import LoadedModel, load_model
from llmaudit.engines.hf.matmul import packed_weights
from llmaudit.engines.hf.memory import NO_MEMORY, Budget
from llmaudit.engines.hf.noise import row_key
from llmaudit.engines.hf.representations import attend, embed, stream_logits
from llmaudit.engines.hf.scoring import next_tokens, score
from llmaudit.engines.hf.selfcheck import check_decoding
from llmaudit.engines.hf.tokenization import cut
from llmaudit.errors import EngineError
from llmaudit.types import (
    Attend,
    Completion,
    Embed,
    Failure,
    Generate,
    NextToken,
    Request,
    Response,
    Score,
    Tokenize,
)

__all__ = ["HFEngine"]

#: Sequences decoded side by side: on a CPU the speed is flat after 64.
_ROWS = {"cpu": 64}
_ROWS_ELSEWHERE = 256
#: Tokens read by one forward pass, and logits it may give: larger batches of full rows are slower, not faster.
_TOKENS = 512
_LOGITS = 1 << 25
#: Positions whose logits exist at a time where all of them are asked for.
_STREAM = 128

R = TypeVar("R", bound=Request)


class HFEngine:
    """Answers with a causal language model of transformers in this process."""

    capabilities: frozenset[type[Request]] = frozenset({Generate, Score, NextToken, Tokenize, Embed, Attend})

    def __init__(self, options: EngineOptions) -> None:
        loaded = load_model(options)
        self.info = loaded.info
        self._loaded: LoadedModel = loaded
        self._tokenizer = loaded.tokenizer
        self._encoder = Encoder(loaded.tokenizer)
        self._device = loaded.device
        self._seed = options.seed
        self._context = int(loaded.info.facts.get("context_length", 0)) or None
        self._forward = Forward(loaded.model, loaded.device, self._context)
        rows = options.batch_size or _ROWS.get(loaded.device.type, _ROWS_ELSEWHERE)
        vocabulary = loaded.model.get_input_embeddings().weight.shape[0]
        self._rows = Budget("rows decoded side by side", rows, loaded.memory_key)
        self._tokens = Budget("tokens read at a time", min(_TOKENS, max(1, _LOGITS // vocabulary)), loaded.memory_key)
        self._sampler: Any = None
        """The model that completions are drawn from, made ready when the first one is asked for."""
        self._held = ExitStack()
        self._packed_for = 0
        self._prompts: dict[Ids, str] = {}

    @property
    def remarks(self) -> Sequence[str]:
        """What a reader of the report must know of how the answers were computed."""
        return [budget.remark for budget in (self._rows, self._tokens) if budget.remark]

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Answer, one type of request after the other. Raises ModelError for an architecture that batches change."""
        for index, request in _of(Tokenize, requests):
            yield index, cut(self._tokenizer, request.text)
        yield from self._score(_of(Score, requests))
        yield from self._next(_of(NextToken, requests))
        yield from self._embed(_of(Embed, requests))
        yield from self._attend(_of(Attend, requests))
        yield from self._generate(_of(Generate, requests))

    def stream_logits(self, texts: Mapping[int, str], chunk: int = _STREAM) -> Iterator[tuple[int, int, torch.Tensor]]:
        """Give the logits of every position of texts, `chunk` positions at a time.

        Yields (key of the text, first position, logits of float32, shape (positions, vocabulary)). Two engines with the
        same tokenizer yield the same pieces, so that they are compared without keeping either's logits. Raises
        EngineError where a text is longer than the model's context.
        """
        sequences = {key: self._encoder.text(text) for key, text in texts.items()}
        for key, ids in sequences.items():
            if failure := self._too_long(len(ids)):
                raise EngineError(f"text {key}: {failure.error}")
        return stream_logits(self._loaded.model, sequences, self._device, chunk)

    def close(self) -> None:
        """Drop the weights and give their memory back to the device."""
        self._held.close()
        del self._loaded, self._forward
        self._sampler = None
        gc.collect()
        if self._device.type != "cpu":
            torch.accelerator.empty_cache()

    def _generate(self, requests: list[tuple[int, Generate]]) -> Iterator[tuple[int, Response]]:
        jobs: list[Job] = []
        asked = dict(requests)
        for index, request in requests:
            if isinstance(ids := self._encoder.prompt(request), Failure):
                yield index, ids
            elif failure := self._too_long(len(ids) + request.sampling.max_new_tokens):
                yield index, failure
            else:
                key = row_key(self._seed, request.stream or request.prompt, request.sample)
                jobs.append(Job(index, ids, request.sampling, key))
        if not jobs:
            return
        prompts = {job.index: job.prompt for job in jobs}
        for finished in self._decoder(len(jobs)).run(jobs):
            for decoded in finished:
                yield decoded.index, self._completion(decoded, prompts[decoded.index], asked[decoded.index])

    def _decoder(self, jobs: int) -> Decoder:
        if self._sampler is None:
            sampler = self._loaded.load_sampler()
            check_decoding(sampler, self._device, self._context)
            self._sampler = sampler
        rows = self._rows.value
        if jobs >= rows != self._packed_for:
            self._held.close()
            self._held.enter_context(packed_weights(self._sampler, rows))
            self._packed_for = rows
        return Decoder(
            self._sampler,
            ends=_end_tokens(self._sampler, self._tokenizer),
            tokenizer=self._tokenizer,
            rows=self._rows,
            device=self._device,
            context=self._context,
        )

    def _completion(self, decoded: Decoded, prompt: Ids, request: Generate) -> Completion | Failure:
        if decoded.finish == "memory":
            return NO_MEMORY
        # Decoded after the prompt's last token: on its own, SentencePiece drops the space before the first word.
        anchor = self._tokenizer.decode(prompt[-1:], skip_special_tokens=True)
        whole = self._tokenizer.decode([*prompt[-1:], *decoded.tokens], skip_special_tokens=True)
        text = whole[len(anchor) :]
        ends = [place for stop in request.sampling.stop if (place := text.find(stop)) >= 0]
        text = text[: min(ends)] if ends else text
        return Completion(text, decoded.drawn, decoded.finish, self._rendered(prompt))

    def _rendered(self, prompt: Ids) -> str:
        # One string for all completions of a prompt: thousands of copies of it would be most of what a run holds.
        if prompt not in self._prompts:
            self._prompts[prompt] = str(self._tokenizer.decode(prompt))
        return self._prompts[prompt]

    def _score(self, requests: list[tuple[int, Score]]) -> Iterator[tuple[int, Response]]:
        pairs: list[tuple[Ids, Ids, bool]] = []
        indices: list[int] = []
        for index, request in requests:
            context, continuation = self._encoder.pair(request)
            if not continuation:
                yield index, Failure(_nothing_to_score(request))
            elif failure := self._too_long(len(context) + len(continuation)):
                yield index, failure
            else:
                pairs.append((context, continuation, request.each_token))
                indices.append(index)
        for place, likelihood in score(self._forward, pairs, self._tokens):
            yield indices[place], likelihood

    def _next(self, requests: list[tuple[int, NextToken]]) -> Iterator[tuple[int, Response]]:
        prompts: list[tuple[Ids, NextToken]] = []
        indices: list[int] = []
        for index, request in requests:
            ids = self._encoder.text(request.prompt)
            if failure := self._too_long(len(ids)):
                yield index, failure
            else:
                prompts.append((ids, request))
                indices.append(index)
        for place, distribution in next_tokens(self._forward, self._tokenizer, prompts, self._tokens):
            yield indices[place], distribution

    def _embed(self, requests: list[tuple[int, Embed]]) -> Iterator[tuple[int, Response]]:
        texts: list[tuple[Ids, tuple[int, int], Embed]] = []
        indices: list[int] = []
        for index, request in requests:
            ids, own = self._encoder.own(request.text)
            if failure := self._too_long(len(ids)):
                yield index, failure
            else:
                texts.append((ids, own, request))
                indices.append(index)
        for place, embedding in embed(self._loaded.model, texts, self._device, self._tokens):
            yield indices[place], embedding

    def _attend(self, requests: list[tuple[int, Attend]]) -> Iterator[tuple[int, Response]]:
        texts: list[tuple[Ids, Attend]] = []
        indices: list[int] = []
        for index, request in requests:
            ids = self._encoder.text(request.text)
            if failure := self._too_long(len(ids)):
                yield index, failure
            else:
                texts.append((ids, request))
                indices.append(index)
        for place, attention in attend(self._loaded.model, self._tokenizer, texts, self._device):
            yield indices[place], attention

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
