"""Kind tokenization: what a text costs in tokens, by language, by word and by group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field, model_validator

from llmaudit.audit import Audit, AuditParams, Context, Figure, Measurement, Metric, Name, Setting, Table
from llmaudit.parallel_text import ParallelData, ParallelText
from llmaudit.stats import design_problem
from llmaudit.token_costs import exhibits, metrics
from llmaudit.token_costs.exact import fact_estimates, word_estimates
from llmaudit.token_costs.languages import Languages, spaced
from llmaudit.token_costs.params import FRAME, Frame, Price, Terms, Text, Tokenizers, against_names
from llmaudit.token_costs.ratios import scaled
from llmaudit.token_costs.terms import term_costs, term_estimates
from llmaudit.types import Estimate, Factor, Request, Sample, Tokenize, Tokens

__all__ = ["Tokenization"]


class Tokenization(Audit["Tokenization.Params"]):
    """What does the same content cost in tokens in another language, and which words does the vocabulary hold?

    Parallel text in several languages, a list of words, terms of groups, or all of them. The document is the unit, and
    every sentence its own document where none is named. Sources: premium, Petrov et al. 2023 (arXiv 2305.15425);
    fertility and continued words, Rust et al. 2021; byte premium, Arnett et al. 2024; Renyi efficiency, Zouhar et al.
    2023; single-token rate (arXiv 2510.09947).
    """

    kind = "tokenization"
    needs = frozenset({Tokenize})
    limitations: ClassVar[tuple[str, ...]] = (
        "The counts are exact for these sentences; the intervals are for text like them, the document being the unit"
        " (the sentence where no documents are named).",
        "Fewer tokens are cheaper, not better: compression does not predict quality (Schmidt et al. 2024).",
        "Words are what white space separates: languages that write none have no fertility here, and languages that"
        " compound have long words.",
        "Translations differ in length for reasons that are no tokenizer's: the byte premium is shown beside the"
        " premium, and the normalised premium is divided by it. Bytes are no neutral measure either: UTF-8 gives two"
        " or three to a letter of most scripts.",
        "Parallel sets are translated text, mostly out of English, which is not how a language is written by itself.",
        "Renyi efficiency grows with the amount of text until the vocabulary is exhausted: compare it between texts of"
        " one length only.",
    )

    class Params(AuditParams):
        """The parameters of a tokenization audit."""

        kind: Literal["tokenization"]
        parallel: dict[Name, list[str]] = Field(default={})
        """Language -> sentences; the same sentences in the same order in every language."""
        data: ParallelData | None = None
        """A parallel text to read from files, in place of `parallel`."""
        clusters: list[Text] = Field(default=[])
        """Which document each sentence of `parallel` comes from, by position; left out, each is a document."""
        reference: Name = "eng_Latn"
        """The language that premiums are taken over."""
        words: list[str] = Field(default=[])
        """Words whose number of tokens is counted, each after a space."""
        terms: Terms = Field(default={})
        """Group -> names or terms whose number of tokens is compared between groups."""
        frame: Frame = f" {FRAME}"
        """The text in which a term is counted, whole; left out, the term after a space."""
        price: Price | None = None
        """What tokens cost in money."""
        compare_with: Tokenizers = Field(default=[])
        """Other models, one or a list, whose tokenizers cut the same text."""
        examples: int = Field(default=0, ge=0)
        """How many sentences of each language the report shows token by token."""

        @model_validator(mode="after")
        def _complete(self) -> Tokenization.Params:
            if self.parallel and self.data is not None:
                raise ValueError("parallel and data: one of the two says what the text is")
            passages = self.text.passages
            if not passages and not self.words and not self.terms:
                raise ValueError("needs sentences (parallel or data), words or terms")
            if passages and self.reference not in passages:
                raise ValueError(f"reference: no sentences in {self.reference!r} (there are {', '.join(passages)})")
            self._check_parallel()
            self._check_needs_of_text()
            if len(set(self.words)) != len(self.words):
                twice = next(word for word in self.words if self.words.count(word) > 1)
                raise ValueError(f"words: {twice!r} stands here twice")
            return self

        def _check_parallel(self) -> None:
            lengths = {language: len(sentences) for language, sentences in self.parallel.items()}
            if self.parallel and not any(lengths.values()):
                raise ValueError("parallel: there are no sentences")
            for language, length in lengths.items():
                if length != lengths[self.reference]:
                    raise ValueError(
                        f"parallel: {language} has {length} sentences, {self.reference} has {lengths[self.reference]}"
                    )
                if not all(map(str.strip, self.parallel[language])):
                    raise ValueError(f"parallel: {language} has an empty sentence")
            if self.clusters and self.parallel and len(self.clusters) != lengths[self.reference]:
                raise ValueError(
                    f"clusters: {len(self.clusters)} documents for {lengths[self.reference]} sentences: one each is"
                    " needed"
                )

        def _check_needs_of_text(self) -> None:
            if self.clusters and not self.parallel:
                raise ValueError("clusters: they belong to parallel; data brings its own documents")
            for key in ("price", "examples", "compare_with"):
                if getattr(self, key) and not self.text.passages:
                    raise ValueError(f"{key}: needs sentences (parallel or data)")

        @property
        def text(self) -> ParallelText:
            """The sentences, written here or read."""
            if self.data is not None:
                return self.data.text
            passages = {language: tuple(sentences) for language, sentences in self.parallel.items()}
            return ParallelText(passages, tuple(self.clusters))

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Facts of the vocabulary; per language, counts and ratios; of words their rate, of groups their gaps."""
        found: dict[str, Metric] = dict(metrics.FACTS)
        languages = list(self.params.text.passages)
        others = self._others
        for name, metric in metrics.EXACT.items():
            found |= metrics.faceted(name, metric, languages)
        for name, ratio in metrics.RATIOS.items():
            found |= metrics.faceted(name, ratio.metric, spaced(languages) if ratio.of_words else languages)
        for name, metric in metrics.PREMIUMS.items():
            found |= metrics.faceted(name, metric, others)
        found |= metrics.faceted("renyi_efficiency", metrics.EFFICIENCY, languages)
        found |= {"vocabulary_coverage": metrics.COVERAGE} if languages else {}
        found |= {"gini": metrics.GINI} if others else {}
        for name in against_names(self.params.compare_with):
            found |= metrics.faceted(name, metrics.AGAINST, languages)
        for name, (_, _, metric) in self._costs.items():
            found |= metrics.faceted(name, metric, languages if name == "cost" else others)
        return (
            found | (dict(metrics.WORDS) if self.params.words else {}) | metrics.term_metrics(list(self.params.terms))
        )

    def requests(self) -> Iterator[Request]:
        """Every sentence of every language, then every word after a space, then every term in its frame."""
        yield from self._sentences()
        for word in self.params.words:
            yield Tokenize(f" {word}", word, {"language": "words", "list": "words"})
        for group, terms in self.params.terms.items():
            for term in terms:
                text = self.params.frame.replace(FRAME, term)
                yield Tokenize(text, term, {"language": "terms", "list": "terms", "group": group})

    def problems(self) -> Mapping[str, str]:
        """A ratio over too few documents cannot be decided, nor a gap between too few terms; a count can."""
        text, terms = self.params.text, self.params.terms
        documents = len(set(text.documents)) or len(text.passages.get(self.params.reference, ()))
        pairs = {f"{a}-{b}": min(len(terms[a]), len(terms[b])) for a, b in combinations(terms, 2)}
        found: dict[str, str] = {}
        for name, metric in self.metrics.items():
            bare, _, facet = name.partition(".")
            units = pairs.get(facet, min(pairs.values())) if bare == "term_cost_gap" else documents
            problem = None if metric.deterministic else design_problem(units)
            found |= {name: problem} if problem else {}
        return found

    def run(self, context: Context) -> tuple[Measurement, Sequence[Sample]]:
        """Measure with the facts of the tokenizer, and beside other tokenizers where some are named."""
        samples = context.answer(self.requests())
        others = [
            context.answer(self._sentences(), context.open_tokenizer(model)) for model in self.params.compare_with
        ]
        info = context.engine.info
        return self._measured(samples, others, info.facts, info.name), samples

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Measure what the samples alone tell."""
        return self._measured(samples, (), {}, "this model")

    def settings(self) -> Sequence[Setting]:
        """Languages and counts of stimuli, and where they come from."""
        params, text = self.params, self.params.text
        found = [
            *super().settings(),
            Setting("languages", ", ".join(text.passages) or "none"),
            Setting("sentences per language", str(len(text.passages.get(params.reference, ())))),
            Setting("words", str(len(params.words))),
        ]
        if text.documents:
            found.append(Setting("documents", str(len(set(text.documents)))))
        if params.data is not None:
            found.append(Setting("data", f"{params.data.reader}, {params.data.path}"))
            found += [Setting(f"sha256 of {name}", digest) for name, digest in params.data.sha256.items()]
        if params.price is not None:
            found.append(
                Setting("price", f"{params.price.per_million_tokens:g} {params.price.currency} per million tokens")
            )
        if params.compare_with:
            found.append(Setting("compare_with", ", ".join(params.compare_with)))
        return found

    @property
    def _others(self) -> list[str]:
        return [language for language in self.params.text.passages if language != self.params.reference]

    @property
    def _costs(self) -> Mapping[str, tuple[str, float, Metric]]:
        """Metric in money -> the metric in tokens, what to multiply it with, and its meaning."""
        price = self.params.price
        if price is None:
            return {}
        cost, premium = metrics.cost_metrics(price.currency, self.params.reference)
        # Tokens per character times the price of a million tokens is the price of a million characters.
        return {
            "cost": ("tokens_per_character", price.per_million_tokens, cost),
            "cost_premium": ("premium", price.per_million_tokens, premium),
        }

    def _sentences(self) -> Iterator[Request]:
        text = self.params.text
        for language, passages in text.passages.items():
            for number, passage in enumerate(passages):
                document = text.documents[number] if text.documents else f"sentence {number + 1:03}"
                yield Tokenize(passage, document, {"language": language})

    def _measured(
        self, samples: Sequence[Sample], others: Sequence[Sequence[Sample]], facts: Mapping[str, Factor], name: str
    ) -> Measurement:
        estimates = fact_estimates(facts)
        tables = [exhibits.facts_table(facts)]
        figures: list[Figure] = []
        if self.params.text.passages:
            found, more = self._languages(samples, others, facts, name)
            estimates |= found
            tables += more
            figures += self._figures(estimates)
        if self.params.words:
            words = [sample for sample in samples if sample.request.factors.get("list") == "words"]
            estimates |= word_estimates(words)
            tables.append(exhibits.words_table(words))
        if self.params.terms:
            terms = [sample for sample in samples if sample.request.factors.get("list") == "terms"]
            costs = term_costs(list(self.params.terms), terms)
            estimates |= term_estimates(costs, self.metrics)
            tables.append(exhibits.terms_table(costs, terms))
        tokens = tuple(float(len(s.response.ids)) if isinstance(s.response, Tokens) else None for s in samples)
        return Measurement(estimates, tuple(figures), tuple(tables), {"tokens": tokens}, _broken(samples))

    def _languages(
        self, samples: Sequence[Sample], others: Sequence[Sequence[Sample]], facts: Mapping[str, Factor], name: str
    ) -> tuple[dict[str, Estimate], list[Table]]:
        params, languages = self.params, list(self.params.text.passages)
        mine = Languages.of(samples, languages, params.reference)
        size = facts.get("vocabulary_size")
        estimates = mine.estimates(int(size) if isinstance(size, int | float) and size > 1 else None)
        for cost, (old, factor, metric) in self._costs.items():
            estimates |= scaled(estimates, old, cost, metric, factor)
        tables = [exhibits.languages_table(mine.counts, params.reference, estimates)]
        tokens = {name: mine.tokens}
        for model, metric_name, answers in zip(
            params.compare_with, against_names(params.compare_with), others, strict=False
        ):
            other = Languages.of(answers, languages, params.reference)
            estimates |= mine.against(metric_name, other)
            tokens[model] = other.tokens
        if others:
            tables.append(exhibits.comparison_table(tokens, params.reference))
        if params.examples:
            tables.append(exhibits.examples_table(languages, samples, params.examples))
        return estimates, tables

    def _figures(self, estimates: Mapping[str, Estimate]) -> list[Figure]:
        def facets(name: str) -> dict[str, Estimate]:
            return {m.partition(".")[2]: e for m, e in estimates.items() if m.startswith(f"{name}.")}

        def values(name: str) -> dict[str, float]:
            return {language: estimate.value for language, estimate in facets(name).items()}

        reference, price = self.params.reference, self.params.price
        check = self.params.checks.get("normalised_premium")
        limits = (check.max,) if check and check.max is not None else ()
        title = f"Tokens per byte over {reference}: the premium without the length of the translation"
        found: list[Figure] = [
            *exhibits.bars(f"Tokens over {reference}", metrics.PREMIUM.unit, values("premium"), 1.0),
            *exhibits.intervals(title, "normalised premium", facets("normalised_premium"), limits),
            *exhibits.bars("Tokens per character", "tokens", values("tokens_per_character")),
        ]
        if price is not None:
            costs = values("cost_premium")
            title = f"Price of the content that takes a million tokens in {reference}"
            found += exhibits.bars(title, price.currency, costs, price.per_million_tokens)
        return found


def _broken(samples: Sequence[Sample]) -> dict[str, tuple[int, ...]]:
    """Indices of the samples that do not decode to themselves."""
    found = tuple(
        index
        for index, sample in enumerate(samples)
        if isinstance(sample.request, Tokenize)
        and isinstance(sample.response, Tokens)
        and "list" not in sample.request.factors
        and sample.response.decoded not in {None, sample.request.text}
    )
    return {"round_trip_failures": found} if found else {}


@pytest.hookimpl
def pytest_llmaudit_audits() -> Sequence[type[Audit[Any]]]:
    """Offer this module's kind."""
    return [Tokenization]
