"""The engine that a causal language model of transformers answers for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, TypeVar

import torch

from llmaudit.cachedir import cache_folder
from llmaudit.engines.anatomy import Anatomy, TextReading
from llmaudit.engines.base import EngineOptions
from llmaudit.engines.comparing import Baseline, Footprint, Positions, Span
from llmaudit.engines.hf.anatomy import cache_bytes_per_token, dissect, read_text
from llmaudit.engines.hf.directions import Directions, count_layers
from llmaudit.engines.hf.divergence import StoredBaseline, compare_pieces, read_span
from llmaudit.engines.hf.encoding import Encoder, Ids, continuation_text
from llmaudit.engines.hf.footprint import footprint
from llmaudit.engines.hf.forward import Forward
from llmaudit.engines.hf.generation import Decoded, Decoder, Job
from llmaudit.engines.hf.gguf_tensors import as_in_gguf
from llmaudit.engines.hf.loading import LoadedModel, load_model
from llmaudit.engines.hf.matmul import PackedWeights
from llmaudit.engines.hf.memory import (
    NO_MEMORY,
    Budget,
    allocated,
    free_memory,
    give_freed_pages_back,
    keep_freed_pages,
    release,
)
from llmaudit.engines.hf.noise import row_key
from llmaudit.engines.hf.representations import attend, embed, stream_logits
from llmaudit.engines.hf.scoring import Asked, next_tokens, score
from llmaudit.engines.hf.selfcheck import PROBE_TEXTS, Trial, check_decoding
from llmaudit.engines.hf.tokenization import cut, vocabulary_digest
from llmaudit.errors import EngineError
from llmaudit.types import (
    Attend,
    Completion,
    Direction,
    Embed,
    Failure,
    Generate,
    NextToken,
    Request,
    Response,
    Sampling,
    Score,
    Tokenize,
)

__all__ = ["HFEngine", "default_rows"]

#: Sequences decoded side by side: on a CPU the speed is flat after 64.
_ROWS = {"cpu": 64}
_ROWS_ELSEWHERE = 256
#: Tokens read by one forward pass, and logits it may give: on a CPU larger batches are slower, not faster.
_TOKENS = {"cpu": 512}
_TOKENS_ELSEWHERE = 8192
_LOGITS = {"cpu": 1 << 25}
_LOGITS_ELSEWHERE = 1 << 28
#: Positions whose logits exist at a time where all of them are asked for.
_STREAM = 128

_SIDE_BY_SIDE = "rows decoded side by side"
_COMPANY = "in this data type or quantization the company of other texts would change what the model makes of one."
#: Mean divergence, in nats, from which on a reader must know that company moves predictions.
_NOTABLE = 1e-3

R = TypeVar("R", bound=Request)


def default_rows(device: str) -> int:
    """How many completions are decoded side by side on a type of device, where nobody says otherwise."""
    return _ROWS.get(device, _ROWS_ELSEWHERE)


class HFEngine:
    """Answers with a causal language model of transformers in this process."""

    capabilities: frozenset[type[Request]] = frozenset({Generate, Score, NextToken, Tokenize, Embed, Attend})
    steering: frozenset[str] = frozenset({"logit_bias", "word_bias", "direction"})

    def __init__(self, options: EngineOptions) -> None:
        self.options = options
        started, before = time.perf_counter(), allocated()
        self._loaded: LoadedModel = _load(options)
        loaded = self._loaded
        self._footprint = footprint(loaded.model, loaded.stored, time.perf_counter() - started, allocated() - before)
        self._gguf = loaded.gguf
        self.info = replace(loaded.info, weight_bytes=self._footprint.stored_bytes)
        self._tokenizer = loaded.tokenizer
        self._encoder = Encoder(loaded.tokenizer)
        self._device = loaded.device
        self._seed = options.seed
        self._context = int(loaded.info.facts.get("context_length", 0)) or None
        self._trial = Trial(exact=loaded.exact, texts=[self._encoder.text(text) for text in PROBE_TEXTS])
        self._draws = self._trial
        self._forward = Forward(loaded.model, loaded.device, self._context, self._trial)
        kind = loaded.device.type
        rows = options.batch_size or default_rows(kind)
        self._vocabulary = int(loaded.model.get_input_embeddings().weight.shape[0])
        logits = _LOGITS.get(kind, _LOGITS_ELSEWHERE)
        tokens = min(_TOKENS.get(kind, _TOKENS_ELSEWHERE), max(1, logits // self._vocabulary))
        self._rows = Budget(_SIDE_BY_SIDE, rows, loaded.memory_key)
        self._tokens = Budget("tokens read at a time", tokens, loaded.memory_key)
        self._sampler: Any = None
        """The model that completions are drawn from, made ready when the first one is asked for."""
        self._packed: PackedWeights | None = None
        self._alone: list[str] = []

    @property
    def remarks(self) -> Sequence[str]:
        """What a reader of the report must know of how the answers were computed."""
        said = [budget.remark for budget in (self._rows, self._tokens) if budget.remark]
        alone = ["Texts were read one by one: " + _COMPANY] if self._forward.alone else []
        return [*said, *alone, *self._alone, *self._moved()]

    def _moved(self) -> Iterator[str]:
        if (company := max(self._trial.company, self._draws.company)) >= _NOTABLE:
            yield (
                "Texts were read side by side: in this data type or quantization that moves what the model makes of"
                f" one by a mean divergence of {company:.2g} nats."
            )

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
            if failure := self._refusal(ids):
                raise EngineError(f"text {key}: {failure.error}")
        return stream_logits(self._loaded.model, sequences, self._device, chunk)

    def anatomy(self) -> Anatomy:
        """Describe the model as it is loaded; nothing is computed with it."""
        return dissect(self._loaded.model, self._tokenizer, self._context)

    def cache_bytes_per_token(self) -> float | None:
        """Bytes that the key-value cache of a text of some hundred tokens really takes, per token."""
        return cache_bytes_per_token(self._loaded.model, self._device, self._context)

    def read_texts(self, texts: Sequence[str]) -> Sequence[TextReading]:
        """Say what tokenizer and chat template make of texts."""
        return [read_text(self._tokenizer, text) for text in texts]

    @property
    def vocabulary(self) -> str:
        """SHA-256 of the tokenizer's vocabulary."""
        return vocabulary_digest(self._tokenizer)

    @property
    def start(self) -> int:
        """The start token, or the end token of models that lack one."""
        return self._encoder.start

    @property
    def predicted(self) -> int:
        """How many tokens are predicted: columns that only pad the vocabulary are left out."""
        return min(len(self._tokenizer), self._vocabulary)

    def footprint(self) -> Footprint:
        """What the weights took when they were loaded; of a GGUF file as it is, stored in that."""
        if self._gguf is not None:  # read when it is asked for: that takes seconds
            self._footprint, self._gguf = as_in_gguf(self._footprint, self._gguf), None
        return self._footprint

    def room(self) -> int:
        """Bytes that are free on the device."""
        return free_memory(self._device)

    def park(self) -> None:
        """Free the weights, as `close` does; `resume` loads them again."""
        self.close()

    def resume(self) -> None:
        """Load the weights again where they were freed. Raises ModelError."""
        if "_loaded" not in vars(self):
            self._loaded = _load(self.options)
            self._forward = Forward(self._loaded.model, self._device, self._context, self._trial)

    def baseline(self, spans: Sequence[Span], disk: int) -> StoredBaseline:
        """Read spans as the reference of a comparison, keeping at most `disk` bytes of logits. Raises EngineError."""
        for number, span in enumerate(spans):
            if failure := self._refusal(span.ids):
                raise EngineError(f"span {number}: {failure.error}")
        return StoredBaseline(spans, self._read, self.predicted, disk, cache_folder())

    def compare(self, baseline: Baseline) -> Iterator[tuple[Positions, float]]:
        """Read the spans of another engine's baseline: yields (what differs, seconds). Raises EngineError."""
        if not isinstance(baseline, StoredBaseline):
            raise EngineError("a model in this process can only be compared with another one in this process")
        return compare_pieces(self._read, baseline)

    def close(self) -> None:
        """Drop the weights and give their memory back to the device."""
        for weights in ("_loaded", "_forward"):
            vars(self).pop(weights, None)
        self._sampler = self._packed = None
        release()

    def _read(self, span: Span) -> Iterator[torch.Tensor]:
        return read_span(self._loaded.model, span, self._device, self.predicted)

    def _generate(self, requests: list[tuple[int, Generate]]) -> Iterator[tuple[int, Response]]:
        jobs: list[Job] = []
        asked = dict(requests)
        for index, request in requests:
            if isinstance(ids := self._encoder.prompt(request), Failure):
                yield index, ids
            elif failure := self._refusal(ids, request.sampling):
                yield index, failure
            else:
                key = row_key(self._seed, request.stream or request.prompt, request.sample)
                jobs.append(Job(index, ids, request.sampling, key))
        if not jobs:
            return
        prompts = {job.index: job.prompt for job in jobs}
        # One string for all completions of a prompt: copies of it would be most of what a run holds.
        rendered = {prompt: str(self._tokenizer.decode(prompt)) for prompt in set(prompts.values())}
        decoder, packed = self._decoder(len(jobs))
        with packed.used() if packed is not None else nullcontext():
            for finished in decoder.run(jobs):
                for decoded in finished:
                    prompt, request = prompts[decoded.index], asked[decoded.index]
                    yield decoded.index, self._completion(decoded, prompt, request, rendered[prompt])

    def _decoder(self, jobs: int) -> tuple[Decoder, PackedWeights | None]:
        if self._sampler is None:
            sampler = self._loaded.load_sampler()
            if sampler is not self._loaded.model:
                self._draws = self._trial.inexact()
            if not check_decoding(sampler, self._device, self._context, self._draws):
                self._rows = Budget(_SIDE_BY_SIDE, 1)
                self._alone.append("Completions were drawn one by one: " + _COMPANY)
            self._sampler = sampler
        rows = self._rows.value
        if jobs >= rows > 1 and (self._packed is None or self._packed.rows != rows):
            self._packed = None
            self._packed = PackedWeights(self._sampler, rows)
        decoder = Decoder(
            self._sampler,
            ends=_end_tokens(self._sampler, self._tokenizer),
            directions=Directions(self._sampler, self._encoder.text, self._device),
            tokenizer=self._tokenizer,
            rows=self._rows,
            device=self._device,
            context=self._context,
        )
        return decoder, self._packed

    def _completion(self, decoded: Decoded, prompt: Ids, request: Generate, rendered: str) -> Completion | Failure:
        if decoded.finish == "memory":
            return NO_MEMORY
        text = continuation_text(self._tokenizer, prompt, decoded.tokens)
        ends = [place for stop in request.sampling.stop if (place := text.find(stop)) >= 0]
        return Completion(text[: min(ends)] if ends else text, decoded.drawn, decoded.finish, rendered)

    def _score(self, requests: list[tuple[int, Score]]) -> Iterator[tuple[int, Response]]:
        pairs: list[tuple[Ids, Ids, bool]] = []
        indices: list[int] = []
        for index, request in requests:
            pair = self._encoder.chat_pair(request) if request.chat else self._encoder.pair(request)
            if isinstance(pair, Failure):
                yield index, pair
                continue
            context, continuation = pair
            if not continuation:
                yield index, Failure(_nothing_to_score(request))
            elif failure := self._refusal(context + continuation):
                yield index, failure
            else:
                pairs.append((context, continuation, request.each_token))
                indices.append(index)
        for place, likelihood in score(self._forward, pairs, self._tokens):
            yield indices[place], likelihood

    def _next(self, requests: list[tuple[int, NextToken]]) -> Iterator[tuple[int, Response]]:
        prompts: list[Asked] = []
        indices: list[int] = []
        for index, request in requests:
            ids = self._encoder.text(request.prompt)
            if failure := self._refusal(ids, Sampling(max_new_tokens=0, logit_bias=request.logit_bias)):
                yield index, failure
            else:
                words = [self._encoder.first_tokens(request.prompt, each) for each in request.words]
                prompts.append(Asked(ids, request.top, words, request.full, request.logit_bias))
                indices.append(index)
        for place, distribution in next_tokens(self._forward, self._tokenizer, prompts, self._tokens):
            yield indices[place], distribution

    def _embed(self, requests: list[tuple[int, Embed]]) -> Iterator[tuple[int, Response]]:
        texts: list[tuple[Ids, tuple[int, int], Embed]] = []
        indices: list[int] = []
        for index, request in requests:
            ids, own = self._encoder.own(request.text)
            if failure := self._refusal(ids):
                yield index, failure
            else:
                texts.append((ids, own, request))
                indices.append(index)
        if texts:
            self._forward.check_padding()
        budget = Budget("tokens read at a time", 1) if self._forward.alone else self._tokens
        for place, embedding in embed(self._loaded.model, texts, self._device, budget):
            yield indices[place], embedding

    def _attend(self, requests: list[tuple[int, Attend]]) -> Iterator[tuple[int, Response]]:
        texts: list[tuple[Ids, Attend]] = []
        indices: list[int] = []
        for index, request in requests:
            ids = self._encoder.text(request.text)
            if failure := self._refusal(ids):
                yield index, failure
            else:
                texts.append((ids, request))
                indices.append(index)
        for place, attention in attend(self._loaded.model, self._tokenizer, texts, self._device):
            yield indices[place], attention

    def _refusal(self, ids: Ids, sampling: Sampling | None = None) -> Failure | None:
        """Say why the model cannot read these ids, and go on as `sampling` says."""
        tokens = len(ids) + (sampling.max_new_tokens if sampling else 0)
        if self._context is not None and tokens > self._context:
            return Failure(f"{tokens} tokens are more than the model's context of {self._context}")
        named = [*ids, *_biased(sampling)] if sampling else ids
        if strange := [token for token in named if not 0 <= token < self._vocabulary]:
            return Failure(f"token {strange[0]}: the model knows tokens 0 to {self._vocabulary - 1}")
        return self._no_direction(sampling.direction) if sampling and sampling.direction else None

    def _no_direction(self, direction: Direction) -> Failure | None:
        """Say why the model cannot be steered in a direction."""
        layers = count_layers(self._loaded.model)
        if not 1 <= direction.layer <= layers:
            known = f"layers 1 to {layers}" if layers else "no layers that can be steered"
            return Failure(f"layer {direction.layer}: the model has {known}")
        if not direction.toward or not direction.away:
            return Failure("a direction needs texts to go toward and texts to go away from")
        texts = (self._encoder.text(text) for text in (*direction.toward, *direction.away))
        return next((failure for ids in texts if (failure := self._refusal(ids))), None)


def _load(options: EngineOptions) -> LoadedModel:
    give_freed_pages_back()
    try:
        return load_model(options)
    finally:
        keep_freed_pages()


def _nothing_to_score(request: Score) -> str:
    if not request.continuation:
        return "the continuation is empty"
    return f"{request.continuation!r} melts into the last token of its context: nothing is left to score"


def _biased(sampling: Sampling) -> list[int]:
    """Every token that a setting names."""
    words = [token for tokens, _ in sampling.word_bias for token in tokens]
    return [*(token for token, _ in sampling.logit_bias), *words]


def _of(kind: type[R], requests: Sequence[Request]) -> list[tuple[int, R]]:
    return [(index, request) for index, request in enumerate(requests) if isinstance(request, kind)]


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    ends = model.generation_config.eos_token_id
    listed = ends if isinstance(ends, list) else [ends]
    return frozenset(int(token) for token in [*listed, tokenizer.eos_token_id] if token is not None)
