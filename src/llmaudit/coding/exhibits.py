"""What a report shows of coded answers: tables and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from llmaudit.coding.codebook import ANY, Codebook
from llmaudit.coding.codes import Coded, is_blank, right_on_examples
from llmaudit.coding.human import HumanCodes
from llmaudit.coding.reliability import MIN_ALPHA, MIN_UNITS, Reliability, agreement_interval
from llmaudit.exhibits import Figure, Intervals, Table
from llmaudit.types import Estimate

__all__ = [
    "codebook_table",
    "confusion_table",
    "evidence",
    "examples_table",
    "figures",
    "notes",
    "prevalence_table",
    "reliability_table",
]

#: How many answers a metric shows as evidence.
_SHOWN = 6

Row = tuple[str | float | int | None, ...]


def reliability_table(facets: Sequence[Reliability], coders: Sequence[str]) -> Table:
    """Say first which categories can be relied on."""
    rows: list[Row] = []
    for facet in facets:
        interval = agreement_interval(facet.alpha)
        kappa = agreement_interval(facet.kappa)
        rows.append(
            (
                facet.category,
                facet.verdict,
                facet.alpha.value,
                interval.low if interval else None,
                interval.high if interval else None,
                facet.kappa.value,
                kappa.low if kappa else None,
                kappa.high if kappa else None,
                facet.alpha.units,
                *(facet.found.get(coder) for coder in coders),
                1 - facet.alpha.disagreement,
            )
        )
    columns = (
        "category", "verdict", "alpha", "alpha low", "alpha high", "kappa", "kappa low", "kappa high", "coded twice",
        *(f"{coder}: yes" for coder in coders), "raw agreement",
    )  # fmt: skip
    note = (
        "Read this first. Krippendorff's alpha of all coders and Cohen's kappa of the first two, with 90% intervals, on"
        f" the texts that two coders coded. Below {MIN_ALPHA} (Krippendorff 2004), or with fewer than {MIN_UNITS} such"
        " texts, a category is not reliable and its checks are inconclusive. Where no text has a category, agreement is"
        " undefined: a check is then judged only if no coder found it anywhere, for otherwise no clean model could ever"
        " be found clean; that all coders are blind to it cannot be ruled out."
    )
    return Table("Do the coders agree?", columns, tuple(rows), note, first=True)


def confusion_table(coded: Coded) -> Table:
    """Count the codes of every pair of coders against each other."""
    rows: list[Row] = []
    for one, other in combinations(coded.codes, 2):
        for name in coded.codes[one]:
            a, b = coded.codes[one][name], coded.codes[other][name]
            twice = np.isfinite(a) & np.isfinite(b)
            yes, echo = a[twice] > 0, b[twice] > 0
            counts = (yes & echo, yes & ~echo, ~yes & echo, ~yes & ~echo)
            rows.append((name, one, other, *(int(count.sum()) for count in counts)))
    columns = ("category", "coder A", "coder B", "both", "only A", "only B", "neither")
    return Table("Where the coders differ", columns, tuple(rows), "Number of texts that both coders coded.")


def prevalence_table(estimates: Mapping[str, Estimate], categories: Sequence[str], parts: Sequence[str]) -> Table:
    """Lay out the shares, a row per category and a column per set of prompts and group."""
    rows: list[Row] = [
        (name, *(estimates[metric].value for metric in (f"prevalence.{name}", *_metrics(name, parts))))
        for name in categories
    ]
    note = "Share of the answers that the first coder says have the category; prompts count alike."
    return Table("Prevalence by prompt set and group", ("category", "all", *parts), tuple(rows), note)


def codebook_table(codebook: Codebook) -> Table:
    """Print the codebook: what a number is a share of."""
    rows = tuple(
        (name, each.definition, "; ".join(each.include), "; ".join(each.exclude), each.question)
        for name, each in codebook.categories.items()
    )
    columns = ("category", "definition", "counts", "does not count", "what a model coder is asked")
    return Table(f"The codebook: {codebook.name}, version {codebook.version}", columns, rows)


def examples_table(
    codebook: Codebook,
    coders: Sequence[str],
    margins: Mapping[str, Mapping[str, float]],
    leanings: Mapping[str, float],
) -> Table:
    """Say how every automatic coder does on the codebook's examples; margins and leanings are the model coder's."""
    rows: list[Row] = []
    for coder in coders:
        for name, category in codebook.categories.items():
            asked, leaning = (margins[name], leanings.get(name)) if coder == "model" else (None, None)
            rows.append((name, coder, *right_on_examples(category, asked), leaning))
    note = (
        "The rules coder on all examples, the model coder on those that its question does not show; half would be right"
        " by chance. The leaning is what the model coder answers about a text without content, which calibration takes"
        " off: log odds of yes, in nats."
    )
    columns = ("category", "coder", "right", "examples", "leaning to yes")
    return Table("The coders on the codebook's own examples", columns, tuple(rows), note)


def figures(
    estimates: Mapping[str, Estimate], categories: Sequence[str], parts: Sequence[str], limits: Mapping[str, float]
) -> tuple[Figure, ...]:
    """Draw prevalence by category (and set and group), and alpha. `limits` has the maxima of checked metrics."""
    shares = [
        _row(label, estimates[metric])
        for name in categories
        for label, metric in (
            (name, f"prevalence.{name}"),
            *zip(_labels(name, parts), _metrics(name, parts), strict=True),
        )
    ]
    shares.append(_row("any category", estimates[ANY]))
    drawn = sorted(
        {limit for metric, limit in limits.items() if metric.startswith("prevalence") and "_gap" not in metric}
    )
    found: list[Figure] = [
        Intervals("Prevalence", "share of answers, proportion", tuple(shares), limits=tuple(drawn)),
    ]
    alphas = [_row(name, estimates[f"alpha.{name}"]) for name in categories if f"alpha.{name}" in estimates]
    if any(row[1] == row[1] for row in alphas):  # NaN is where agreement is undefined
        found.append(Intervals("Agreement of the coders", "Krippendorff's alpha", tuple(alphas), limits=(MIN_ALPHA,)))
    return tuple(found)


def evidence(coded: Coded, metrics: Iterable[str], parts: Mapping[str, Sequence[bool]]) -> dict[str, tuple[int, ...]]:
    """Return the answers behind every metric: those with its category, and for agreement those that coders dispute.

    First come the answers that most coders say have it, and which have most categories besides.
    """
    others = np.sum([np.nan_to_num(column) for name, column in coded.first.items() if name != ANY], axis=0)
    found: dict[str, tuple[int, ...]] = {}
    for metric in metrics:
        bare, _, facet = metric.partition(".")
        category, _, part = facet.partition(".")
        table = np.array(list(coded.of_category(category or ANY).values()))
        votes = np.nan_to_num(table).sum(axis=0)
        shown = _disputed(table) if bare in ("alpha", "kappa") else table[0] == 1
        shown = shown & parts.get(part, True)
        order = np.lexsort((np.arange(len(votes)), -others, -votes))
        found[metric] = tuple(int(index) for index in order if shown[index])[:_SHOWN]
    return found


def notes(
    codebook: Codebook, coded: Coded, facets: Sequence[Reliability], human: HumanCodes | None, failed: int
) -> tuple[str, ...]:
    """Say what a reader must know: the codebook's content note, what is not reliable, what was not coded."""
    found = [codebook.note]
    if poor := [facet.category for facet in facets if facet.verdict in ("unreliable", "not shown")]:
        found.append(f"Not reliable here, and left undecided: {', '.join(poor)}.")
    if undefined := [facet.category for facet in facets if facet.verdict == "undefined"]:
        found.append(f"Agreement undefined, since all codes are the same: {', '.join(undefined)}.")
    if blank := sum(is_blank(text) for text in coded.texts if text is not None):
        found.append(f"{blank} of {len(coded.texts)} answers are empty: they count as answers without any category.")
    if failed:
        found.append(f"{failed} questions to the model coder failed: what they ask about is not coded by it.")
    if human is not None and (strangers := human.strangers([text for text in coded.texts if text is not None])):
        found.append(f"{strangers} of {len(human.codes)} texts that people coded are none of these answers.")
    return tuple(found)


def _disputed(table: NDArray[np.float64]) -> NDArray[np.bool_]:
    disputed: NDArray[np.bool_] = np.any(table == 0, axis=0) & np.any(table == 1, axis=0)
    return disputed


def _metrics(name: str, parts: Sequence[str]) -> list[str]:
    return [f"prevalence.{name}.{part}" for part in parts]


def _labels(name: str, parts: Sequence[str]) -> list[str]:
    return [f"{name}, {part}" for part in parts]


def _row(label: str, estimate: Estimate) -> tuple[str, float | None, float | None, float | None]:
    interval = estimate.interval
    return label, estimate.value, interval.low if interval else None, interval.high if interval else None
