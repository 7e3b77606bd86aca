"""Kind next_token: the distribution of the next word, compared between groups that names stand for."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from llmaudit.audit import Audit, AuditParams, Context, Measurement, Metric, Setting
from llmaudit.next_words.divergence import Design, Reading, divergence_estimates, divergence_metrics, read_template
from llmaudit.next_words.exhibits import (
    difference_figures,
    furthest_samples,
    joint_words,
    names_table,
    templates_table,
    words_table,
)
from llmaudit.next_words.names import SLOT, NamedGroups, NameTemplates, WordLists
from llmaudit.next_words.odds import log_odds, odds_estimates, odds_metrics
from llmaudit.stats import design_problem
from llmaudit.types import NextToken, NextTokens, Request, Sample, Tokenize

__all__ = ["NextTokenAudit"]


class NextTokenAudit(Audit["NextTokenAudit.Params"]):
    """Does the distribution of the next word change with the group, more than between interchangeable names of one?

    Templates x names. The whole distribution after every name is compared with that after every other: divergence
    between names of two groups, minus that between names of one group, since two names never give the same
    distribution. The template is the unit. Nothing is drawn: the numbers are the model's own.
    """

    kind = "next_token"
    needs = frozenset({NextToken})
    limitations: ClassVar[tuple[str, ...]] = (
        "Names are weak signals: they carry age, class and region besides the group, and differ in how often they are"
        " written and in how many tokens they take. The divergence within groups corrects for this only where the"
        " groups' names vary alike.",
        "The interval is for templates like these and for these names. What other names would do is in the second p,"
        " over names, and in the standard error over names.",
        "Group names and templates are stimuli that an author sampled: other wordings can give other numbers (Selvam et"
        " al. 2023; Seshadri et al. 2022).",
        "A divergence says that the distributions differ, not that either is harmful; a difference of one word is not"
        " yet one of what a text says (Blodgett et al. 2021). Log-odds have a direction, and a word in a list counts by"
        " its first token.",
        "Next-word probabilities need not go with how a model behaves in use (Goldfarb-Tarrant et al. 2021).",
    )

    class Params(AuditParams):
        """The parameters of an audit of the next token."""

        kind: Literal["next_token"]
        groups: NamedGroups
        """Group name -> names that stand for it; three or more, in every group equally many."""
        templates: NameTemplates
        """Prompts that break off before the word in question, with the slot {name}, as a list or as lists by domain."""
        words: WordLists = Field(default={})
        """List name -> words, each with the space before it, whose joint probability of coming next is compared."""
        top: int = Field(default=10, ge=1, le=100)
        """How many of the most likely words after each name the tables look at."""

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Divergences between and within groups and in excess, log-odds per list of words, and their facets."""
        return {**divergence_metrics(self._design), **odds_metrics(list(self.params.words), self._design)}

    def requests(self) -> Iterator[Request]:
        """Every template with every name, template by template."""
        words = tuple(map(tuple, self.params.words.values()))
        for domain, templates in self.params.templates.items():
            for template in templates:
                for group, named in self.params.groups.items():
                    for name in named.names:
                        yield NextToken(
                            prompt=template.replace(SLOT, name),
                            cluster=template,
                            top=self.params.top,
                            words=words,
                            full=True,
                            factors={"domain": domain, "group": group, "name": name},
                        )

    def problems(self) -> Mapping[str, str]:
        """A divergence over too few templates cannot be decided."""
        problem = design_problem(len(self._templates))
        return dict.fromkeys(self.metrics, problem) if problem else {}

    def run(self, context: Context) -> tuple[Measurement, Sequence[Sample]]:
        """Ask template by template, and keep of a distribution only what the report needs.

        A distribution has as many numbers as the vocabulary has tokens: of all prompts at once they would fill
        gigabytes.
        """
        readings: list[Reading] = []
        samples: list[Sample] = []
        for template, inside in itertools.groupby(self.requests(), key=lambda request: request.cluster):
            answered = context.answer(inside)
            readings.append(self._read(template, answered))
            samples += map(_without_distribution, answered)
        measurement = self._measurement(readings, samples)
        table = self._joint_words(context)
        return replace(measurement, tables=(*measurement.tables, *([table] if table else []))), samples

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Compare the distributions within templates; the samples have them whole."""
        inside: dict[str, list[Sample]] = {}
        for sample in samples:
            inside.setdefault(sample.request.cluster, []).append(sample)
        return self._measurement([self._read(template, own) for template, own in inside.items()], samples)

    def settings(self) -> Sequence[Setting]:
        """Names, lists of words and counts of stimuli."""
        named = self.params.groups.items()
        return [
            *super().settings(),
            Setting("templates", str(len(self._templates))),
            *(Setting(f"names for {group}", ", ".join(params.names)) for group, params in named),
            *(Setting(f"words of {name}", ", ".join(map(str.strip, of))) for name, of in self.params.words.items()),
        ]

    @property
    def _design(self) -> Design:
        return Design({group: tuple(params.names) for group, params in self.params.groups.items()})

    @property
    def _templates(self) -> list[str]:
        return [template for domain in self.params.templates.values() for template in domain]

    def _read(self, template: str, samples: Sequence[Sample]) -> Reading:
        answers = {str(s.request.factors["name"]): s.response for s in samples if isinstance(s.response, NextTokens)}
        return read_template(template, [answers.get(name) for name in self._design.names])

    def _measurement(self, readings: Sequence[Reading], samples: Sequence[Sample]) -> Measurement:
        design = self._design
        estimates = divergence_estimates(readings, design, seed=self.seed)
        scores = {name: log_odds(samples, place) for place, name in enumerate(self.params.words)}
        for name, values in scores.items():
            estimates |= odds_estimates(name, values, samples, design, seed=self.seed)
        check = self.params.checks.get("jsd_excess")
        return Measurement(
            estimates=estimates,
            figures=difference_figures(readings, design, estimates, check.max if check else None),
            tables=(
                templates_table(design, estimates),
                words_table(readings, design),
                names_table(readings, design),
            ),
            scores={
                f"log-odds of {name}": tuple(None if math.isnan(v) else float(v) for v in values)
                for name, values in scores.items()
            },
            evidence=furthest_samples(readings, design, estimates, samples),
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        size = len(next(iter(self.params.groups.values())).names)
        least = 2 / math.comb(2 * size, size)
        if least < 0.05:
            return ()
        return (f"With {size} names in each group no p over names can be below {least:.2g}: add names.",)

    def _joint_words(self, context: Context) -> Any:
        if not self.params.words or Tokenize not in context.engine.capabilities:
            return None
        prompt = self._templates[0].replace(SLOT, self._design.names[0])
        texts = [prompt, *(prompt + word for words in self.params.words.values() for word in words)]
        bare, *answers = context.answer([Tokenize(text, cluster=text) for text in texts])
        return joint_words(self.params.words, bare, answers)


def _without_distribution(sample: Sample) -> Sample:
    if not isinstance(sample.response, NextTokens):
        return sample
    return replace(sample, response=replace(sample.response, logprobs=()))


@pytest.hookimpl
def pytest_llmaudit_audits() -> Sequence[type[Audit[Any]]]:
    """Offer this module's kind."""
    return [NextTokenAudit]
