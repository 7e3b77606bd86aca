"""Tables and figures of a tokenization audit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from llmaudit.audit import Bars, Intervals, Table
from llmaudit.token_costs.counts import Counts, of_language, separates_words
from llmaudit.token_costs.terms import TermCosts
from llmaudit.types import Estimate, Factor, Sample, Tokenize, Tokens

__all__ = [
    "bars",
    "comparison_table",
    "examples_table",
    "facts_table",
    "intervals",
    "languages_table",
    "spelled",
    "terms_table",
    "words_table",
]

#: Stands between two tokens, and is in no printed text.
MARK = "│"
_VISIBLE = str.maketrans({" ": "␣", "\n": "⏎", "\t": "⇥", "\u00a0": "⍽"})
_SHOWN_WORDS = 25


def facts_table(facts: Mapping[str, Factor]) -> Table:
    """What the engine tells of the tokenizer."""
    return Table("The tokenizer", ("fact", "value"), tuple(facts.items()))


def languages_table(counts: Mapping[str, Counts], reference: str, estimates: Mapping[str, Estimate]) -> Table:
    """Sums and ratios by language."""
    of_reference = np.nansum(counts[reference]["bytes"])
    rows: list[tuple[str | float | int | None, ...]] = []
    for language, of in counts.items():
        premium = estimates.get(f"premium.{language}")
        sums = {name: float(np.nansum(values)) for name, values in of.items()}
        spaced = separates_words(language)
        rows.append(
            (
                language,
                int(sums["words"]) if spaced else None,
                int(sums["characters"]),
                int(sums["bytes"]),
                int(sums["tokens"]),
                sums["tokens"] / sums["words"] if spaced and sums["words"] else None,
                sums["characters"] / sums["tokens"] if sums["tokens"] else None,
                premium.value if premium else 1.0,
                sums["bytes"] / of_reference if of_reference else None,
            )
        )
    columns = ("language", "words", "characters", "bytes", "tokens", "fertility", "characters per token", "premium")
    note = "The byte premium is the text's own share of the premium: how many more bytes the translation has."
    return Table("Parallel text by language", (*columns, "byte premium"), tuple(rows), note)


def comparison_table(tokens: Mapping[str, Mapping[str, float]], reference: str) -> Table:
    """Tokens and premiums of several tokenizers side by side; tokens: tokenizer -> language -> its tokens in all."""
    languages = list(next(iter(tokens.values())))
    columns = ["language", *(f"{what}, {name}" for name in tokens for what in ("tokens", "premium"))]
    rows: list[tuple[str | float | int | None, ...]] = []
    for language in languages:
        cells = [
            cell
            for of in tokens.values()
            for cell in (int(of[language]), of[language] / of[reference] if of[reference] else None)
        ]
        rows.append((language, *cells))
    return Table("Several tokenizers, the same text", tuple(columns), tuple(rows))


def examples_table(languages: Sequence[str], samples: Sequence[Sample], each: int) -> Table:
    """The first sentences of every language, token by token."""
    rows: list[tuple[str | float | int | None, ...]] = []
    for language in languages:
        for number, sample in enumerate(of_language(language, samples)[:each], start=1):
            if isinstance(sample.request, Tokenize) and isinstance(sample.response, Tokens):
                text = spelled(sample.request.text, sample.response)
                rows.append((language, number, len(sample.response.ids), text))
    note = (
        f"{MARK} stands between tokens and ␣ for a space; ×3 says that three tokens share the characters before it,"
        " each a part of their bytes."
    )
    return Table("Token by token", ("language", "sentence", "tokens", "text"), tuple(rows), note)


def spelled(text: str, tokens: Tokens) -> str:
    """Return a text with its tokens set apart; their own spelling where the tokenizer tells no offsets."""
    if not tokens.starts or len(tokens.starts) != len(tokens.ids):
        return MARK.join(tokens.pieces)
    sharing = Counter(tokens.starts)
    places = sorted(sharing)
    # What a tokenizer drops belongs to the token before it, or at the start to the first.
    ends = pairwise([0, *places[1:], len(text)])
    parts = (
        text[start:end].translate(_VISIBLE) + (f"×{sharing[place]}" if sharing[place] > 1 else "")
        for place, (start, end) in zip(places, ends, strict=True)
    )
    return MARK.join(parts)


def words_table(samples: Sequence[Sample]) -> Table:
    """The words of a list that are cut into most tokens."""
    counted = {s.request.cluster: s.response for s in samples if isinstance(s.response, Tokens)}
    longest = sorted(counted.items(), key=lambda item: (-len(item[1].ids), item[0]))
    rows = tuple((word, len(tokens.ids), " | ".join(tokens.pieces)) for word, tokens in longest[:_SHOWN_WORDS])
    return Table("The words cut into most tokens", ("word", "tokens", "pieces"), rows)


def terms_table(costs: Mapping[str, TermCosts], samples: Sequence[Sample]) -> Table:
    """Every term with its tokens, by group."""
    pieces = {
        (s.request.factors.get("group"), s.request.cluster): MARK.join(s.response.pieces)
        for s in samples
        if isinstance(s.response, Tokens)
    }
    rows = tuple(
        (group, term, int(tokens) if np.isfinite(tokens) else None, pieces.get((group, term)))
        for group, cost in costs.items()
        for term, tokens in zip(cost.terms, cost.tokens.tolist(), strict=True)
    )
    return Table("Terms of the groups", ("group", "term", "tokens", "pieces"), rows)


def bars(title: str, unit: str, values: Mapping[str, float], reference: float | None = None) -> list[Bars]:
    """One bar per language, the shortest first; no figure without a language."""
    rows = tuple(sorted(values.items(), key=lambda row: _unknown_last(row[1])))
    return [Bars(title, unit, rows, reference)] if rows else []


def intervals(title: str, unit: str, facets: Mapping[str, Estimate], limits: tuple[float, ...]) -> list[Intervals]:
    """One interval per language, the lowest first; no figure without a language."""
    rows = tuple(
        (language, each.value, *((each.interval.low, each.interval.high) if each.interval else (None, None)))
        for language, each in sorted(facets.items(), key=lambda item: _unknown_last(item[1].value))
    )
    return [Intervals(title, unit, rows, limits=limits)] if rows else []


def _unknown_last(value: float) -> tuple[bool, float]:
    return math.isnan(value), value
