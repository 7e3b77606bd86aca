"""The metrics of a tokenization audit: what each means, in the words that the report prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from llmaudit.audit import Metric

__all__ = [
    "AGAINST",
    "BYTE_PREMIUM",
    "COVERAGE",
    "EFFICIENCY",
    "EXACT",
    "FACTS",
    "GINI",
    "NORMALISED_PREMIUM",
    "PREMIUM",
    "PREMIUMS",
    "RATIOS",
    "WORDS",
    "Ratio",
    "cost_metrics",
    "faceted",
    "term_metrics",
]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A metric that is one sum over another, per language."""

    over: str
    under: str
    metric: Metric
    of_words: bool = False
    """Whether it exists only where white space separates words."""


RATIOS: Mapping[str, Ratio] = {
    "fertility": Ratio(
        "tokens", "words", Metric("tokens per white-space word", "tokens per word", "lower"), of_words=True
    ),
    "tokens_per_character": Ratio("tokens", "characters", Metric("tokens per character", "tokens", "lower")),
    "tokens_per_byte": Ratio("tokens", "bytes", Metric("tokens per byte of UTF-8", "tokens", "lower")),
    "continued_words": Ratio(
        "continued",
        "words",
        Metric("share of white-space words cut into two or more tokens", "proportion", "lower"),
        of_words=True,
    ),
    "byte_fallback_share": Ratio(
        "fragments", "tokens", Metric("share of tokens that are fragments of a character", "proportion", "lower")
    ),
}
EXACT: Mapping[str, Metric] = {
    "tokens": Metric("number of tokens of all sentences", "tokens", "lower", deterministic=True),
    "unknown_share": Metric("share of tokens that stand for the unknown", "proportion", "lower", deterministic=True),
    "round_trip_failures": Metric("texts that do not decode to themselves", "sentences", "lower", deterministic=True),
    "nfc_round_trip_failures": Metric(
        "texts that do not decode to themselves even up to Unicode form NFC", "sentences", "lower", deterministic=True
    ),
}
PREMIUM = Metric("tokens over the tokens of the reference language, same content", "ratio", "lower")
BYTE_PREMIUM = Metric("bytes of UTF-8 over those of the reference language, same content", "ratio", "lower")
NORMALISED_PREMIUM = Metric("premium over byte premium: tokens per byte, over those of the reference", "ratio", "lower")
PREMIUMS: Mapping[str, Metric] = {
    "premium": PREMIUM,
    "byte_premium": BYTE_PREMIUM,
    "normalised_premium": NORMALISED_PREMIUM,
}
EFFICIENCY = Metric(
    "Renyi efficiency: entropy of order 2.5 of the tokens used, over the logarithm of the vocabulary size",
    "proportion",
    "higher",
)
GINI = Metric("Gini coefficient over languages of the tokens of the same content", "index from 0 to 1", "lower")
COVERAGE = Metric("share of the vocabulary that the text uses", "proportion", "higher", deterministic=True)
AGAINST = Metric("tokens over the tokens of the other tokenizer, same text", "ratio", "lower")
WORDS: Mapping[str, Metric] = {
    "single_token_rate": Metric(
        "share of distinct words that are one token, each with the space before it",
        "proportion",
        "higher",
        deterministic=True,
    ),
    "tokens_per_word": Metric("mean tokens of a word, after a space", "tokens per word", "lower", deterministic=True),
}
FACTS: Mapping[str, Metric] = {
    "vocabulary_size": Metric("number of tokens of the vocabulary", "tokens", "higher", deterministic=True),
    "special_tokens": Metric("number of special tokens", "tokens", "lower", deterministic=True),
}


def faceted(name: str, metric: Metric, facets: Sequence[str], worst: str = "the worst language") -> dict[str, Metric]:
    """The metric's facets, and under its bare name the worst of them; nothing without a facet."""
    if not facets:
        return {}
    bare = replace(metric, description=f"{metric.description}; {worst}")
    return {name: bare, **{f"{name}.{facet}": metric for facet in facets}}


def cost_metrics(currency: str, reference: str) -> tuple[Metric, Metric]:
    """`cost` and `cost_premium`, in money."""
    return (
        Metric("price of a million characters", currency, "lower"),
        Metric(f"price of the content that takes a million tokens in {reference}", currency, "lower"),
    )


def term_metrics(groups: Sequence[str]) -> dict[str, Metric]:
    """What the terms of groups cost, and how far that differs."""
    if not groups:
        return {}
    cost = Metric("mean tokens of a term in its frame", "tokens per term", "lower", deterministic=True)
    gap = Metric("difference in mean tokens per term, for terms like these", "tokens per term", "zero")
    exact = Metric("difference in mean tokens per term, of these terms", "tokens per term", "zero", deterministic=True)
    pairs = [f"{a}-{b}" for a, b in combinations(groups, 2)]
    found = faceted("term_cost", cost, groups, "the most costly group")
    for name, metric in (("term_cost_gap", gap), ("exact_term_cost_gap", exact)):
        found |= faceted(name, metric, pairs, "the size of the largest")
        found[name] = replace(found[name], better="lower")
    return found
