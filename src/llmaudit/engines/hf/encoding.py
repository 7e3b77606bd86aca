"""From texts to token ids: start tokens, chat templates, and where a continuation begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmaudit.types import Failure, Generate, Score

__all__ = ["Encoder", "Ids", "continuation_text"]

Ids = tuple[int, ...]


class Encoder:
    """Turns what a request says into what the model reads."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def prompt(self, request: Generate) -> Ids | Failure:
        """Ids of a prompt, which goes through the chat template where the request says so."""
        if not request.chat:
            return self.text(request.prompt)
        # The template has written the start token where one belongs.
        turn = self._turn(request.prompt)
        return turn if isinstance(turn, Failure) else self._encode(turn, special=False)

    def text(self, text: str) -> Ids:
        """Ids of a text with the tokenizer's own special tokens: at least the start token."""
        return self._encode(text) or (self.start,)

    def chat_pair(self, request: Score) -> tuple[Ids, Ids] | Failure:
        """Cut where the turn of the user ends."""
        if isinstance(turn := self._turn(request.context), Failure):
            return turn
        ids, length = self._encode(turn + request.continuation, special=False), len(self._encode(turn, special=False))
        return ids[:length], ids[length:]

    def pair(self, request: Score) -> tuple[Ids, Ids]:
        """Cut where the tokens of the context end, with its trailing spaces given to the continuation."""
        context = request.context.rstrip(" ")
        ids = self._encode(request.context + request.continuation)
        if not context:
            return (self.start,), ids[1:] if ids[:1] == (self.start,) else ids
        length = len(self._encode(context))
        # A context that the tokenizer makes nothing of is an empty one.
        return (ids[:length], ids[length:]) if length else ((self.start,), ids)

    def first_tokens(self, prompt: str, words: Sequence[str]) -> set[int]:
        """The token that each word would begin with right after the prompt."""
        pairs = (self.pair(Score(prompt, word, "")) for word in words)
        return {continuation[0] for _, continuation in pairs if continuation}

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

    def _turn(self, text: str) -> str | Failure:
        """A text as one turn of the user, up to where the model's begins."""
        if not self._tokenizer.chat_template:
            return Failure("the tokenizer has no chat template; ask with raw prompts")
        turns = [{"role": "user", "content": text}]
        return str(self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False))

    def _encode(self, text: str, *, special: bool = True) -> Ids:
        ids = self._ids(text, special=special)
        start, end = self._tokenizer.bos_token_id, self._tokenizer.eos_token_id
        # A text that writes the start token itself gets no second one.
        if special and start is not None and ids[:2] == (start, start):
            ids = ids[1:]
        # What is continued has not ended, whatever end token the tokenizer adds.
        if special and ids and ids[-1] == end and self._ids(text, special=False)[-1:] != (end,) and ids != (start,):
            ids = ids[:-1]
        return ids

    def _ids(self, text: str, *, special: bool) -> Ids:
        return tuple(self._tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])


def continuation_text(tokenizer: Any, prompt: Ids, tokens: Sequence[int], *, special: bool = False) -> str:
    """The text of tokens that follow a prompt; special tokens are shown where `special` says so.

    Decoded behind the prompt's last token: on its own, SentencePiece drops the space before the first word.
    """
    anchor = tokenizer.decode(prompt[-1:], skip_special_tokens=not special)
    return str(tokenizer.decode([*prompt[-1:], *tokens], skip_special_tokens=not special))[len(anchor) :]
