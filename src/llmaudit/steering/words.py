"""From lists of words to tokens: how each word is spelt, and which other words its tokens begin."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from llmaudit.errors import AuditError
from llmaudit.exhibits import Table
from llmaudit.steering.stimuli import Spellings, Words, spellings_of
from llmaudit.types import Failure, Request, Response, Sample, Tokenize, Tokens

__all__ = [
    "Spelling",
    "coverage_table",
    "fragment_requests",
    "fragment_table",
    "read_spellings",
    "spelling_requests",
    "words_of",
]

#: How many fragments a report lists.
_SHOWN = 40
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """Return the words of a text: runs of letters and digits, with inner apostrophes and hyphens."""
    return _WORD.findall(text)


@dataclass(frozen=True, slots=True)
class Spelling:
    """One way to write a word of a list, as the tokenizer cuts it."""

    side: str
    word: str
    text: str
    """With the space before it where there is one."""
    ids: tuple[int, ...]
    """Empty where the tokenizer cannot make this spelling."""
    pieces: tuple[str, ...]


def spelling_requests(words: Words, which: Spellings) -> Iterator[Request]:
    """Ask how every spelling of every word is cut."""
    for side, listed in words.lists().items():
        for word in listed:
            for text in spellings_of(word, which):
                yield Tokenize(text, word, {"list": side, "spelling": text})


def read_spellings(samples: Sequence[Sample]) -> tuple[Spelling, ...]:
    """Return the spellings that the answers to `spelling_requests` tell of.

    Raises AuditError where the tokenizer cannot make a word in its first spelling, after a space: an unknown token,
    none at all, or tokens that stand for something else. Other spellings may be beyond it (an uncased vocabulary has
    no capitals): they are not steered by, and the report shows them without tokens.
    """
    found: list[Spelling] = []
    known: set[tuple[str, str]] = set()
    for sample in samples:
        request = sample.request
        if not isinstance(request, Tokenize):
            continue
        side, word = str(request.factors["list"]), request.cluster
        fault = _fault(request.text, sample.response)
        if fault and (side, word) not in known:
            raise AuditError(
                f"words.{side}: the tokenizer cannot make {word!r} ({fault}); take the word out of the list, or use the"
                " method activation or instruction"
            )
        known.add((side, word))
        cut = sample.response if isinstance(sample.response, Tokens) and not fault else None
        found.append(Spelling(side, word, request.text, cut.ids if cut else (), cut.pieces if cut else ()))
    return tuple(found)


def coverage_table(spellings: Sequence[Spelling]) -> Table:
    """Show the tokens of every word."""
    rows: list[tuple[str, ...]] = []
    for spelling in spellings:
        tokens = " | ".join(spelling.pieces) or "cannot be made"
        size = f"{len(spelling.ids)} token" if len(spelling.ids) == 1 else f"{len(spelling.ids)} tokens"
        rows.append((spelling.side, spelling.word, f"“{spelling.text}”", tokens, size if spelling.ids else ""))
    single = sum(len(spelling.ids) == 1 for spelling in spellings)
    note = f"{single} of {len(spellings)} spellings are one token: a bias on them reaches no other word's fragments."
    return Table("The words and their tokens", ("list", "word", "spelling", "tokens", "size"), tuple(rows), note)


def fragment_requests(texts: Iterable[str]) -> Iterator[Request]:
    """Ask how the distinct words of some texts are cut, each after a space."""
    for word in dict.fromkeys(word for text in texts for word in words_of(text)):
        yield Tokenize(f" {word}", word, {"word": word})


def fragment_table(
    spellings: Sequence[Spelling], samples: Sequence[Sample], texts: Sequence[str], *, every_token: bool
) -> Table:
    """Show which other words of some texts begin with a token that was boosted.

    `samples` answer `fragment_requests(texts)`; `every_token` says whether all tokens of a word were boosted at every
    step, or the first ones alone.
    """
    counts = Counter(word for text in texts for word in words_of(text))
    begins: dict[int, list[str]] = {}
    for sample in samples:
        if isinstance(sample.response, Tokens) and sample.response.ids:
            begins.setdefault(sample.response.ids[0], []).append(sample.request.cluster)
    rows: list[tuple[int, tuple[str, str, str, str]]] = []
    boosted = _boosted(spellings, every_token=every_token)
    for (side, token), (piece, sources) in boosted.items():
        own = {spelling.word.casefold() for spelling in spellings if spelling.side == side}
        others = [word for word in begins.get(token, ()) if word.casefold() not in own]
        if others:
            others.sort(key=lambda word: (-counts[word], word))
            total = sum(counts[word] for word in others)
            named = ", ".join(others[:8]) + (", …" if len(others) > 8 else "")
            rows.append((total, (side, piece, ", ".join(sources), f"{named} ({total})")))
    rows.sort(key=lambda row: (-row[0], row[1]))
    note = (
        f"{len(rows)} of the {len(boosted)} boosted tokens begin another word of the neutral answers; in brackets, how"
        " often such a word stands there."
    )
    columns = ("list", "token", "boosted for", "other words that it begins")
    return Table("What else the boosted tokens begin", columns, tuple(row for _, row in rows[:_SHOWN]), note)


def _boosted(
    spellings: Sequence[Spelling], *, every_token: bool
) -> Mapping[tuple[str, int], tuple[str, dict[str, None]]]:
    """(side, token) -> how the token is spelt and the words that it was boosted for."""
    found: dict[tuple[str, int], tuple[str, dict[str, None]]] = {}
    for spelling in spellings:
        length = len(spelling.ids) if every_token else 1
        for token, piece in zip(spelling.ids[:length], spelling.pieces[:length], strict=True):
            found.setdefault((spelling.side, token), (piece, {}))[1][spelling.word] = None
    return found


def _fault(text: str, response: Response) -> str | None:
    if isinstance(response, Failure):
        return response.error
    if not isinstance(response, Tokens) or not response.ids:
        return "it gives no token"
    if response.unknown:
        return "it is unknown to the vocabulary"
    if response.decoded is None:
        return "the tokenizer cannot decode its tokens"
    # A tokenizer may bring or take the space before a word.
    if response.decoded.strip() != text.strip():
        return "its tokens decode to something else"
    return None
