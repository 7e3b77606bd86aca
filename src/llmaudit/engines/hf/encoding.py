"""From texts to token ids: start tokens, chat templates, and where a continuation begins."""

from __future__ import annotations

from typing import Any

from llmaudit.types import Failure, Generate, Score

__all__ = ["Encoder", "Ids"]

Ids = tuple[int, ...]


class Encoder:
    """Turns what a request says into what the model reads."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def prompt(self, request: Generate) -> Ids | Failure:
        """Ids of a prompt, which goes through the chat template where the request says so."""
        if not request.chat:
            return self.text(request.prompt)
        if not self._tokenizer.chat_template:
            return Failure("the tokenizer has no chat template; ask with raw prompts")
        turns = [{"role": "user", "content": request.prompt}]
        text = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        # The template has written the start token where one belongs.
        return self._encode(text, special=False)

    def text(self, text: str) -> Ids:
        """Ids of a text with the tokenizer's own special tokens: at least the start token."""
        return self._encode(text) or (self.start,)

    def pair(self, request: Score) -> tuple[Ids, Ids]:
        """Cut where the tokens of the context end, with its trailing spaces given to the continuation."""
        context = request.context.rstrip(" ")
        ids = self._encode(request.context + request.continuation)
        if not context:
            return (self.start,), ids[1:] if ids[:1] == (self.start,) else ids
        length = len(self._encode(context))
        return ids[:length], ids[length:]

    def own(self, text: str) -> tuple[Ids, tuple[int, int]]:
        """Ids of a text, and the (start, end) of those that are its own, between the tokenizer's special ones."""
        whole, bare = self.text(text), self._encode(text, special=False)
        for start in range(len(whole) - len(bare) + 1):
            if bare and whole[start : start + len(bare)] == bare:
                return whole, (start, start + len(bare))
        return whole, (0, len(whole) if bare else 0)

    @property
    def start(self) -> int:
        """The token that stands for "nothing yet": the start token, or the end token of models that lack one."""
        for token in (self._tokenizer.bos_token_id, self._tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        return 0

    def _encode(self, text: str, *, special: bool = True) -> Ids:
        ids = tuple(self._tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])
        # A text that writes the start token itself gets no second one.
        start = self._tokenizer.bos_token_id
        return ids[1:] if special and start is not None and ids[:2] == (start, start) else ids
