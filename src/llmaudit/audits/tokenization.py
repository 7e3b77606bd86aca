"""Kind tokenization: what a text costs in tokens, by language and by word."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from pydantic import Field, model_validator

from llmaudit.audit import Audit, AuditParams, Bars, Context, Figure, Measurement, Metric, Name, Setting, Table
from llmaudit.stats import design_problem
from llmaudit.token_counts import Array, count, ratio_estimates
from llmaudit.types import Estimate, Factor, Request, Sample, Tokenize, Tokens

__all__ = ["Tokenization"]

#: Scripts that put no spaces between words, by their ISO 15924 codes: "words" there are not words.
UNSEGMENTED = frozenset({"Hans", "Hant", "Jpan", "Khmr", "Laoo", "Mymr", "Thai", "Tibt"})


@dataclass(frozen=True, slots=True)
class _Ratio:
    """A metric that is one sum over another, per language."""

    over: str
    under: str
    metric: Metric


RATIOS: Mapping[str, _Ratio] = {
    "fertility": _Ratio("tokens", "words", Metric("tokens per white-space word", "tokens per word", "lower")),
    "tokens_per_character": _Ratio("tokens", "characters", Metric("tokens per character", "tokens", "lower")),
    "tokens_per_byte": _Ratio("tokens", "bytes", Metric("tokens per byte of UTF-8", "tokens", "lower")),
    "continued_words": _Ratio(
        "continued", "words", Metric("share of white-space words cut into two or more tokens", "proportion", "lower")
    ),
    "byte_fallback_share": _Ratio(
        "fragments", "tokens", Metric("share of tokens that are fragments of a character", "proportion", "lower")
    ),
}
EXACT: Mapping[str, Metric] = {
    "tokens": Metric("number of tokens of all sentences", "tokens", "lower", deterministic=True),
    "unknown_share": Metric("share of tokens that stand for the unknown", "proportion", "lower", deterministic=True),
    "round_trip_failures": Metric("texts that do not decode to themselves", "sentences", "lower", deterministic=True),
}
PREMIUM = Metric("tokens over the tokens of the reference language, same content", "ratio", "lower")
AGAINST = Metric("tokens over the tokens of the other tokenizer, same text", "ratio", "lower")
WORDS: Mapping[str, Metric] = {
    "single_token_rate": Metric("share of words that are one token", "proportion", "higher", deterministic=True),
    "tokens_per_word": Metric("mean tokens of a word, after a space", "tokens per word", "lower", deterministic=True),
}
FACTS: Mapping[str, Metric] = {
    "vocabulary_size": Metric("number of tokens of the vocabulary", "tokens", "higher", deterministic=True),
    "special_tokens": Metric("number of special tokens", "tokens", "lower", deterministic=True),
}


class Tokenization(Audit["Tokenization.Params"]):
    """What does the same content cost in tokens in another language, and which words does the vocabulary hold?

    Parallel sentences in several languages, a list of words, or both. The sentence is the unit. Sources: premium,
    Petrov et al. 2023 (arXiv 2305.15425); fertility and continued words, Rust et al. 2021; single-token rate (arXiv
    2510.09947).
    """

    kind = "tokenization"
    needs = frozenset({Tokenize})
    limitations: ClassVar[tuple[str, ...]] = (
        "The counts are exact for these sentences; the intervals are for text like them, the sentence being the unit.",
        "Fewer tokens are cheaper, not better: compression does not predict quality (Schmidt et al. 2024).",
        "Words are what white space separates: languages that write none have no fertility here, and languages that"
        " compound have long words.",
        "Translations differ in length for reasons that are no tokenizer's: the byte premium is shown beside it.",
    )

    class Params(AuditParams):
        """The parameters of a tokenization audit."""

        kind: Literal["tokenization"]
        parallel: dict[Name, list[str]] = Field(default={})
        """Language -> sentences; the same sentences in the same order in every language."""
        reference: Name = "eng_Latn"
        """The language that premiums are taken over."""
        words: list[str] = Field(default=[])
        """Words whose number of tokens is counted, each after a space."""
        compare_with: str | None = None
        """Another model, whose tokenizer cuts the same text."""

        @model_validator(mode="after")
        def _complete(self) -> Tokenization.Params:
            if not self.parallel and not self.words:
                raise ValueError("needs sentences (parallel) or words")
            if self.parallel and self.reference not in self.parallel:
                raise ValueError(
                    f"reference: no sentences in {self.reference!r} (there are {', '.join(self.parallel)})"
                )
            lengths = {language: len(sentences) for language, sentences in self.parallel.items()}
            for language, length in lengths.items():
                if length != lengths[self.reference]:
                    raise ValueError(
                        f"parallel: {language} has {length} sentences, {self.reference} has {lengths[self.reference]}"
                    )
                if not all(map(str.strip, self.parallel[language])):
                    raise ValueError(f"parallel: {language} has an empty sentence")
            if len(set(self.words)) != len(self.words):
                twice = next(word for word in self.words if self.words.count(word) > 1)
                raise ValueError(f"words: {twice!r} stands here twice")
            return self

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Facts of the vocabulary; per language, counts, ratios and premium; for words, the single-token rate."""
        found: dict[str, Metric] = dict(FACTS)
        languages = list(self.params.parallel)
        for name, metric in EXACT.items():
            found |= _faceted(name, metric, languages)
        for name, ratio in RATIOS.items():
            found |= _faceted(name, ratio.metric, [language for language in languages if _applies(name, language)])
        found |= _faceted("premium", PREMIUM, self._others)
        if self.params.compare_with:
            found |= _faceted("tokens_ratio", AGAINST, languages)
        return found | (dict(WORDS) if self.params.words else {})

    def requests(self) -> Iterator[Request]:
        """Every sentence of every language, then every word after a space."""
        for language, sentences in self.params.parallel.items():
            for number, sentence in enumerate(sentences, start=1):
                yield Tokenize(sentence, f"sentence {number:03}", {"language": language})
        for word in self.params.words:
            yield Tokenize(f" {word}", word, {"language": "words", "list": "words"})

    def problems(self) -> Mapping[str, str]:
        """A ratio over too few sentences cannot be decided; a count can."""
        sentences = len(self.params.parallel.get(self.params.reference, []))
        problem = design_problem(sentences) if sentences else None
        return {n: problem for n, metric in self.metrics.items() if not metric.deterministic} if problem else {}

    def run(self, context: Context) -> tuple[Measurement, Sequence[Sample]]:
        """Measure with the facts of the tokenizer, and beside a second tokenizer where one is named."""
        samples = context.answer(self.requests())
        other: Sequence[Sample] = ()
        if self.params.compare_with:
            engine = context.open_tokenizer(self.params.compare_with)
            other = context.answer(self.requests(), engine)
        return self._measured(samples, other, context.engine.info.facts), samples

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Measure what the samples alone tell."""
        return self._measured(samples, (), {})

    def _measured(self, samples: Sequence[Sample], other: Sequence[Sample], facts: Mapping[str, Factor]) -> Measurement:
        counts = {language: count(language, samples) for language in self.params.parallel}
        estimates = {name: _fact(name, facts.get(name), metric) for name, metric in FACTS.items()}
        tables = [_facts_table(facts)]
        figures: list[Figure] = []
        if counts:
            estimates |= self._languages(counts)
            tables.append(self._languages_table(counts, estimates))
            figures += self._figures(estimates)
        if other and counts:
            against = {language: count(language, other) for language in self.params.parallel}
            pairs = {language: (counts[language]["tokens"], against[language]["tokens"]) for language in counts}
            mine, theirs = _unknown(counts), _unknown(against)
            unknown = {language: max(share, theirs[language]) for language, share in mine.items()}
            estimates |= ratio_estimates("tokens_ratio", AGAINST, pairs, unknown)
        if self.params.words:
            found, table = _word_estimates([s for s in samples if "list" in s.request.factors])
            estimates |= found
            tables.append(table)
        tokens = tuple(float(len(s.response.ids)) if isinstance(s.response, Tokens) else None for s in samples)
        return Measurement(estimates, tuple(figures), tuple(tables), scores={"tokens": tokens})

    @property
    def _others(self) -> list[str]:
        return [language for language in self.params.parallel if language != self.params.reference]

    def _languages(self, counts: Mapping[str, Mapping[str, Array]]) -> dict[str, Estimate]:
        estimates: dict[str, Estimate] = {}
        for name, metric in EXACT.items():
            facets = {language: _exact(f"{name}.{language}", metric, of) for language, of in counts.items()}
            estimates |= {name: _worst_exact(name, facets)} | {facet.metric: facet for facet in facets.values()}
        unknown = _unknown(counts)
        for name, ratio in RATIOS.items():
            pairs = {
                language: (of[ratio.over], of[ratio.under])
                for language, of in counts.items()
                if _applies(name, language)
            }
            estimates |= ratio_estimates(name, ratio.metric, pairs, unknown)
        reference = counts[self.params.reference]["tokens"]
        premiums = {language: (counts[language]["tokens"], reference) for language in self._others}
        either = {language: max(share, unknown[self.params.reference]) for language, share in unknown.items()}
        return estimates | ratio_estimates("premium", PREMIUM, premiums, either)

    def _languages_table(self, counts: Mapping[str, Mapping[str, Array]], estimates: Mapping[str, Estimate]) -> Table:
        reference = np.nansum(counts[self.params.reference]["bytes"])
        rows: list[tuple[str | float | int | None, ...]] = []
        for language, of in counts.items():
            premium = estimates.get(f"premium.{language}")
            sums = {name: float(np.nansum(values)) for name, values in of.items()}
            spaced = _applies("fertility", language)
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
                    sums["bytes"] / reference if reference else None,
                )
            )
        columns = ("language", "words", "characters", "bytes", "tokens", "fertility", "characters per token", "premium")
        note = "The byte premium is the text's own share of the premium: how many more bytes the translation has."
        return Table("Parallel text by language", (*columns, "byte premium"), tuple(rows), note)

    def _figures(self, estimates: Mapping[str, Estimate]) -> list[Figure]:
        found: list[Figure] = []
        for name, title in (
            ("premium", f"Tokens over {self.params.reference}"),
            ("tokens_per_character", "Tokens per character"),
        ):
            facets = {m.partition(".")[2]: e.value for m, e in estimates.items() if m.startswith(f"{name}.")}
            rows = tuple(sorted(facets.items(), key=lambda row: row[1]))
            if rows:
                found.append(Bars(title, self.metrics[name].unit, rows, 1.0 if name == "premium" else None))
        return found

    def settings(self) -> Sequence[Setting]:
        """Languages and counts of stimuli."""
        return [
            *super().settings(),
            Setting("languages", ", ".join(self.params.parallel) or "none"),
            Setting("sentences per language", str(len(self.params.parallel.get(self.params.reference, [])))),
            Setting("words", str(len(self.params.words))),
        ]


def _faceted(name: str, metric: Metric, facets: Sequence[str]) -> dict[str, Metric]:
    """The metric's facets, and under its bare name the worst of them."""
    if not facets:
        return {}
    worst = replace(metric, description=f"{metric.description}; the worst language")
    return {name: worst, **{f"{name}.{facet}": metric for facet in facets}}


def _applies(metric: str, language: str) -> bool:
    return metric not in {"fertility", "continued_words"} or language.rpartition("_")[2] not in UNSEGMENTED


def _unknown(counts: Mapping[str, Mapping[str, Array]]) -> dict[str, float]:
    """Share of unknown tokens by language."""
    sums = {
        language: (float(np.nansum(of["unknown"])), float(np.nansum(of["tokens"]))) for language, of in counts.items()
    }
    return {language: unknown / tokens if tokens else 0.0 for language, (unknown, tokens) in sums.items()}


def _exact(name: str, metric: Metric, counts: Mapping[str, Array]) -> Estimate:
    """A count over all sentences; of what could not be tokenized there is none."""
    tokens = float(np.nansum(counts["tokens"]))
    sums = {"tokens": tokens, "round_trip_failures": float(np.nansum(counts["broken"]))}
    value = sums.get(name.partition(".")[0], float(np.nansum(counts["unknown"])) / (tokens or 1.0))
    asked = len(counts["tokens"])
    lost = int(np.isnan(counts["tokens"]).sum())
    n = asked - lost
    return Estimate(
        name,
        value if n else math.nan,
        None,
        metric.unit,
        metric.better,
        n,
        n,
        lost,
        deterministic=True,
        problem=f"{lost} of {asked} texts could not be tokenized" if lost else None,
    )


def _worst_exact(name: str, facets: Mapping[str, Estimate]) -> Estimate:
    worst = max(facets.values(), key=lambda facet: -math.inf if math.isnan(facet.value) else facet.value)
    problem = next((f"{facet.metric}: {facet.problem}" for facet in facets.values() if facet.problem), None)
    return replace(worst, metric=name, problem=problem)


def _word_estimates(samples: Sequence[Sample]) -> tuple[dict[str, Estimate], Table]:
    counted = {s.request.cluster: s.response for s in samples if isinstance(s.response, Tokens)}
    lengths = np.array([len(tokens.ids) for tokens in counted.values()], dtype=np.float64)
    values = {
        "single_token_rate": float((lengths == 1).mean()) if lengths.size else math.nan,
        "tokens_per_word": float(lengths.mean()) if lengths.size else math.nan,
    }
    n, lost = len(counted), len(samples) - len(counted)
    problem = f"{lost} of {len(samples)} words could not be tokenized" if lost else None
    estimates = {
        name: Estimate(
            name, values[name], None, metric.unit, metric.better, n, n, lost, deterministic=True, problem=problem
        )
        for name, metric in WORDS.items()
    }
    longest = sorted(counted.items(), key=lambda item: (-len(item[1].ids), item[0]))
    rows = tuple((word, len(tokens.ids), " | ".join(tokens.pieces)) for word, tokens in longest[:25])
    return estimates, Table("The words cut into most tokens", ("word", "tokens", "pieces"), rows)


def _fact(name: str, value: Factor | None, metric: Metric) -> Estimate:
    number = float(value) if isinstance(value, int | float) else math.nan
    return Estimate(name, number, None, metric.unit, metric.better, 1, 1, deterministic=True)


def _facts_table(facts: Mapping[str, Factor]) -> Table:
    return Table("The tokenizer", ("fact", "value"), tuple((name, value) for name, value in facts.items()))


@pytest.hookimpl
def pytest_llmaudit_audits() -> Sequence[type[Audit[Any]]]:
    """Offer this module's kind."""
    return [Tokenization]
