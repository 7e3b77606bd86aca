"""How far the scorer's own word list makes an effect a tautology."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from llmaudit.audit import Metric
from llmaudit.exhibits import Table
from llmaudit.masking import Mask
from llmaudit.scorers.base import Scorer
from llmaudit.steering.stimuli import Words
from llmaudit.types import Estimate

__all__ = ["CARRIER", "Lexical", "lexicon_table", "overlap_estimates"]

#: A sentence that says nothing but the word.
CARRIER = "They said that it was {word}."


@runtime_checkable
class Lexical(Protocol):
    """A scorer that goes by a list of words."""

    @property
    def lexicon(self) -> frozenset[str]:
        """The words that it knows, in lower case."""


def overlap_estimates(words: Words, scorer: Scorer, metrics: Mapping[str, Metric]) -> dict[str, Estimate]:
    """Return the share of every list's words that the scorer's lexicon holds, and the worst list's.

    A scorer that offers no `lexicon` cannot be asked: the estimates then say so.
    """
    name = "lexicon_overlap"
    found = {side: _overlap(f"{name}.{side}", listed, scorer, metrics) for side, listed in words.lists().items()}
    worst = max(found.values(), key=lambda estimate: -1.0 if math.isnan(estimate.value) else estimate.value)
    bare = Estimate(
        name,
        worst.value,
        None,
        worst.unit,
        worst.better,
        worst.n,
        worst.clusters,
        deterministic=True,
        problem=worst.problem,
    )
    return {name: bare, **{estimate.metric: estimate for estimate in found.values()}}


def lexicon_table(words: Words, scorer: Scorer, masks: Mapping[str, Mask]) -> Table:
    """Show what the scorer makes of the lists: words that it knows, and its score of a sentence with each word."""
    rows: list[tuple[str | float | int | None, ...]] = []
    for side, listed in words.lists().items():
        known = _known(listed, scorer)
        sentences = [CARRIER.format(word=word) for word in listed]
        shown, masked = _mean(scorer, sentences), _mean(scorer, masks[side].apply(sentences))
        shared = None if known is None else len(known)
        rows.append((side, len(listed), shared, shown, masked, ", ".join(known or ()) or "none"))
    note = (
        f"Mean score of “{CARRIER}” with each word, shown and masked: what is not 0 when shown, an answer scores by"
        " holding the word alone, whatever it says."
    )
    columns = ("list", "words", "in the scorer's lexicon", "score, shown", "score, masked", "which")
    return Table("The lists and the scorer's own words", columns, tuple(rows), note)


def _overlap(name: str, listed: Sequence[str], scorer: Scorer, metrics: Mapping[str, Metric]) -> Estimate:
    known = _known(listed, scorer)
    return Estimate(
        name,
        math.nan if known is None else len(known) / len(listed),
        None,
        metrics[name].unit,
        metrics[name].better,
        len(listed),
        len(listed),
        deterministic=True,
        problem=f"the scorer {scorer.name} does not tell which words it knows" if known is None else None,
    )


def _known(listed: Sequence[str], scorer: Scorer) -> list[str] | None:
    return [word for word in listed if word.lower() in scorer.lexicon] if isinstance(scorer, Lexical) else None


def _mean(scorer: Scorer, texts: Sequence[str]) -> float | None:
    values = np.array(scorer.score(texts), dtype=np.float64)
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None
