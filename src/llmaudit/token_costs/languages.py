"""The same text in several languages, counted: from samples to estimates per language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmaudit.token_costs import metrics
from llmaudit.token_costs.counts import Counts, count, ids_of, of_language, separates_words, unknown_shares
from llmaudit.token_costs.exact import exact_estimates
from llmaudit.token_costs.ratios import normalised_estimates, ratio_estimates
from llmaudit.token_costs.vocabulary import coverage_estimate, efficiency_estimates, gini_estimate
from llmaudit.types import Estimate, Sample

__all__ = ["Languages", "spaced"]


@dataclass(frozen=True, slots=True)
class Languages:
    """Counts of the same passages in every language, in the same order."""

    reference: str
    """The language that premiums are taken over; one of those counted."""
    counts: Mapping[str, Counts]
    ids: Mapping[str, Sequence[NDArray[np.int64] | None]]
    """Language -> token ids per passage, None where it could not be tokenized."""
    documents: tuple[str, ...]
    """What each passage comes from: the unit of analysis."""

    @classmethod
    def of(cls, samples: Sequence[Sample], languages: Sequence[str], reference: str) -> Languages:
        """Count the passages of these languages."""
        # By the samples, not by the suite: a smoke run asks the first passages alone.
        documents = tuple(sample.request.cluster for sample in of_language(reference, samples))
        counts = {language: count(language, samples) for language in languages}
        return cls(reference, counts, {language: ids_of(language, samples) for language in languages}, documents)

    @property
    def others(self) -> list[str]:
        """Every language but the reference."""
        return [language for language in self.counts if language != self.reference]

    @property
    def tokens(self) -> dict[str, float]:
        """Number of tokens of a language's passages."""
        return {language: float(np.nansum(of["tokens"])) for language, of in self.counts.items()}

    def estimates(self, vocabulary: int | None) -> dict[str, Estimate]:
        """Everything that one tokenizer's counts tell; vocabulary: its size, None where that is not known."""
        return exact_estimates(self.counts) | self._ratios() | self._premiums() | self._uses(vocabulary)

    def against(self, name: str, other: Languages) -> dict[str, Estimate]:
        """Tokens over those of another tokenizer, under this name."""
        pairs = {each: (of["tokens"], other.counts[each]["tokens"]) for each, of in self.counts.items()}
        mine, theirs = unknown_shares(self.counts), unknown_shares(other.counts)
        unknown = {language: max(share, theirs[language]) for language, share in mine.items()}
        return ratio_estimates(name, metrics.AGAINST, pairs, unknown, self.documents)

    def _ratios(self) -> dict[str, Estimate]:
        estimates: dict[str, Estimate] = {}
        unknown = unknown_shares(self.counts)
        for name, ratio in metrics.RATIOS.items():
            languages = spaced(list(self.counts)) if ratio.of_words else list(self.counts)
            pairs = {each: (self.counts[each][ratio.over], self.counts[each][ratio.under]) for each in languages}
            estimates |= ratio_estimates(name, ratio.metric, pairs, unknown, self.documents)
        return estimates

    def _premiums(self) -> dict[str, Estimate]:
        shares, reference = unknown_shares(self.counts), self.counts[self.reference]
        unknown = {language: max(share, shares[self.reference]) for language, share in shares.items()}
        tokens, sizes = (
            {each: (self.counts[each][column], reference[column]) for each in self.others}
            for column in ("tokens", "bytes")
        )
        four = {each: (*tokens[each], *sizes[each]) for each in self.others}
        return {
            **ratio_estimates("premium", metrics.PREMIUM, tokens, unknown, self.documents),
            **ratio_estimates("byte_premium", metrics.BYTE_PREMIUM, sizes, unknown, self.documents),
            **normalised_estimates("normalised_premium", metrics.NORMALISED_PREMIUM, four, unknown, self.documents),
        }

    def _uses(self, vocabulary: int | None) -> dict[str, Estimate]:
        """How the text uses the vocabulary, and how unequally languages pay for it."""
        unknown = unknown_shares(self.counts)
        name = "renyi_efficiency"
        found = efficiency_estimates(name, metrics.EFFICIENCY, self.ids, vocabulary, unknown, self.documents)
        found["vocabulary_coverage"] = coverage_estimate("vocabulary_coverage", metrics.COVERAGE, self.ids, vocabulary)
        if self.others:
            tokens = {language: of["tokens"] for language, of in self.counts.items()}
            found["gini"] = gini_estimate("gini", metrics.GINI, tokens, unknown, self.documents)
        return found


def spaced(languages: Sequence[str]) -> list[str]:
    """Return the languages in which white space separates words."""
    return [language for language in languages if separates_words(language)]
