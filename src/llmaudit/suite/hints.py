"""The nearest valid word to one that is not."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from llmaudit.suite.problems import shown

__all__ = ["closest", "did_you_mean", "unknown"]


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a writer most likely meant, if one is near."""
    folded = {_fold(candidate): candidate for candidate in known}
    matches = get_close_matches(_fold(word), folded, n=1)
    return folded[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that names the nearest word, or nothing."""
    match = closest(word, known)
    return f"; did you mean '{match}'?" if match is not None else ""


def unknown(noun: str, word: str, known: Collection[str], listed: Collection[str] | None = None) -> str:
    """Say that a word is not one of the known ones, which are listed (or those of them that `listed` names)."""
    words = ", ".join(known if listed is None else listed)
    return f"unknown {noun} {shown(word)}{did_you_mean(word, known)} (known: {words or 'none'})"


def _fold(word: str) -> str:
    return word.casefold().replace("-", "_").replace(" ", "_")
