"""Continuous batching in transformers: `generate_batch` over a paged cache."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from transformers import GenerationConfig

from benchmarks.models import Peer
from benchmarks.peers.generation import check_length

__all__ = ["ContinuousBatching"]

#: Cache positions in a page, and pages for each completion: enough for a short prompt and its completion.
_PAGE = 64
_PAGES = 2
#: Tokens that one step takes at most: the short prompts of all rows.
_STEP_TOKENS = 1024


class ContinuousBatching:
    """Keeps one manager over all calls, so that its start is not timed."""

    def __init__(self, peer: Peer, *, rows: int, tokens: int, temperature: float) -> None:
        self._peer = peer
        self._rows = rows
        self._tokens = tokens
        self._temperature = temperature
        self._started = False

    def complete(self, prompts: Sequence[str]) -> int:
        """Complete every prompt once; returns the number of completions."""
        # Its log writes to stderr at every call.
        logging.getLogger("ContinuousBatchingLogger").setLevel(logging.CRITICAL)
        ids = [self._peer.tokenizer(prompt)["input_ids"] for prompt in prompts]
        room = self._room()
        self._started = True
        answers = self._peer.model.generate_batch(
            ids,
            generation_config=self._sampling(),
            continuous_batching_config=room,
            persistent_manager=True,
        )
        for answer in answers.values():
            if answer.error is not None:
                raise RuntimeError(answer.error)
            check_length(len(answer.generated_tokens), self._tokens)
            self._peer.tokenizer.decode(answer.generated_tokens, skip_special_tokens=True)
        if len(answers) < len(prompts):
            raise RuntimeError(f"{len(prompts) - len(answers)} of {len(prompts)} requests came to nothing")
        return len(prompts)

    def close(self) -> None:
        """Stop the manager and free its cache."""
        if self._started:
            self._peer.model.destroy_cached_continuous_batching_manager()

    def _sampling(self) -> Any:
        configuration: Any = GenerationConfig  # transformers types no constructor
        return configuration(
            do_sample=True,
            temperature=self._temperature,
            top_k=0,
            top_p=1.0,
            max_new_tokens=self._tokens,
            eos_token_id=-1,  # its own sign for "none"
            pad_token_id=self._peer.tokenizer.pad_token_id,
        )

    def _room(self) -> Any:
        # Imported here: a transformers without it should cost one row, not the run.
        from transformers import ContinuousBatchingConfig  # noqa: PLC0415

        # Left to itself, it takes most of the memory for the cache, and fits the manager to its first call.
        return ContinuousBatchingConfig(
            page_size=_PAGE,
            num_blocks=self._rows * _PAGES,
            max_requests_per_batch=self._rows,
            max_batch_tokens=_STEP_TOKENS,
        )
