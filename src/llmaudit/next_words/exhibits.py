"""What a report shows of next words by group: tables, figures, and the prompts that differ most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from llmaudit.exhibits import Bars, Figure, Intervals, Table
from llmaudit.next_words.divergence import Design, Reading
from llmaudit.types import Estimate, Sample, Tokens

__all__ = ["difference_figures", "furthest_samples", "joint_words", "names_table", "templates_table", "words_table"]

#: Rows of the table of words, and templates that evidence is taken from.
_WORDS, _TEMPLATES = 20, 3
#: Words of the figure of next words, for each group.
_BARS = 8


def difference_figures(
    readings: Sequence[Reading], design: Design, estimates: Mapping[str, Estimate], limit: float | None
) -> tuple[Figure, ...]:
    """Excess divergence and log-odds per pair of groups, and the next words where the groups differ most."""
    pairs = [f"{a}-{b}" for a, b in design.pairs]
    excess = tuple(_row(pair, estimates[f"jsd_excess.{pair}"]) for pair in pairs)
    limits = () if limit is None else (limit,)
    title = "Divergence between groups in excess of that within groups"
    figures: list[Figure] = [Intervals(title, "excess Jensen-Shannon divergence, bits", excess, True, limits)]  # noqa: FBT003
    odds = tuple(
        _row(f"{name.removeprefix('log_odds_').partition('.')[0]}: {a} - {b}", estimates[name])
        for a, b in design.pairs
        for name in estimates
        if _is_odds(name, f"{a}-{b}")
    )
    if odds:
        figures.append(Intervals("Differences in log-odds of lists of words", "difference, nats", odds, zero=True))
    return (*figures, *_bars(readings, design, estimates))


def templates_table(design: Design, estimates: Mapping[str, Estimate]) -> Table:
    """Divergence between and within groups for each template, the widest first."""
    rows: list[tuple[str | float | None, ...]] = []
    for a, b in design.pairs:
        excess, between = (estimates[f"{name}.{a}-{b}"].cluster_values for name in ("jsd_excess", "jsd_between"))
        of_words = [e.cluster_values for name, e in estimates.items() if _is_odds(name, f"{a}-{b}")]
        for template, value in sorted(excess.items(), key=lambda item: -_known(item[1])):
            within = between[template] - value
            rows.append((template, f"{a}-{b}", between[template], within, value, *(o.get(template) for o in of_words)))
    lists = dict.fromkeys(name.partition(".")[0] for name in estimates if name.startswith("log_odds_"))
    note = (
        "Divergences in bits, 0 for the same distribution and 1 for no word in common; differences of log-odds in nats."
    )
    columns = ("template", "groups", "between groups", "within groups", "excess", *(n.replace("_", " ") for n in lists))
    return Table("Divergence by template", columns, tuple(rows), note)


def words_table(readings: Sequence[Reading], design: Design) -> Table:
    """The words whose mean probability differs most between two groups."""
    rows: list[tuple[str, str, str, float, float, float]] = []
    for reading in readings:
        for word, probabilities in reading.words.items():
            means = {group: float(probabilities[design.places(group)].mean()) for group in design.groups}
            for a, b in design.pairs:
                rows.append((reading.template, word, f"{a}-{b}", means[a], means[b], means[a] - means[b]))
    largest = sorted((row for row in rows if math.isfinite(row[-1])), key=lambda row: -abs(row[-1]))[:_WORDS]
    columns = ("template", "next word", "groups", "probability, first", "probability, second", "difference")
    note = "Mean over the names of a group; of the words that are among the most likely after some name."
    return Table("Next words that differ most between groups", columns, tuple(largest), note)


def names_table(readings: Sequence[Reading], design: Design) -> Table:
    """How far each name lies from the others of its group and from the other groups: a name that stands out shows."""
    complete = [reading.jsd for reading in readings if reading.answered.all()]
    mean = np.mean(complete, axis=0) if complete else np.full((len(design.names),) * 2, np.nan)
    rows: list[tuple[str, str, float, float]] = []
    for group, names in design.groups.items():
        own = design.places(group)
        others = [place for place in range(len(design.names)) if place not in own]
        for name, place in zip(names, own, strict=True):
            inside = float(mean[place, own].sum() / (len(own) - 1))
            rows.append((name, group, inside, float(mean[place, others].mean())))
    note = "Mean Jensen-Shannon divergence in bits. A name far from its own group carries more than the group's sign."
    return Table(
        "How interchangeable the names are", ("name", "group", "to its own group", "to others"), tuple(rows), note
    )


def joint_words(lists: Mapping[str, Sequence[str]], prompt: Sample, answers: Sequence[Sample]) -> Table | None:
    """Words that count by a token which is not all of them, and so may stand for others too; None if there is none.

    prompt: a prompt, cut into tokens; answers: the same prompt with each word behind it, in the order of the lists.
    """
    words = [(name, word) for name, of_list in lists.items() for word in of_list]
    if not isinstance(prompt.response, Tokens):
        return None
    start = len(prompt.response.ids)
    rows: list[tuple[str, str, str, int]] = []
    for (name, word), sample in zip(words, answers, strict=True):
        pieces = sample.response.pieces[start:] if isinstance(sample.response, Tokens) else ()
        if len(pieces) > 1:
            rows.append((name, word, pieces[0], len(pieces)))
    note = (
        "A word counts by its first token. Where that is a piece of the word, other words that begin with it count too."
    )
    columns = ("list", "word", "counts by", "tokens")
    return Table("Words that count by a piece of them", columns, tuple(rows), note) if rows else None


def furthest_samples(
    readings: Sequence[Reading], design: Design, estimates: Mapping[str, Estimate], samples: Sequence[Sample]
) -> dict[str, tuple[int, ...]]:
    """Metric -> indices of samples: of the templates with the largest excess, the two names that are furthest apart."""
    place = {(s.request.cluster, str(s.request.factors["name"])): index for index, s in enumerate(samples)}
    by_template = {reading.template: reading for reading in readings}
    found: dict[str, tuple[int, ...]] = {}
    for a, b in design.pairs:
        chosen: list[int] = []
        values = estimates[f"jsd_excess.{a}-{b}"].cluster_values
        widest = sorted(filter(lambda template: values[template] > 0, values), key=lambda template: -values[template])
        for template in widest[:_TEMPLATES]:
            distances = by_template[template].jsd[np.ix_(design.places(a), design.places(b))]
            row, column = np.unravel_index(int(np.argmax(distances)), distances.shape)
            names = (design.groups[a][row], design.groups[b][column])
            chosen += [place[template, name] for name in names]
        found[f"jsd_excess.{a}-{b}"] = tuple(chosen)
    widest_pair = max(design.pairs, key=lambda pair: _known(estimates[f"jsd_excess.{pair[0]}-{pair[1]}"].value))
    found["jsd_excess"] = found[f"jsd_excess.{widest_pair[0]}-{widest_pair[1]}"]
    return found


def _bars(readings: Sequence[Reading], design: Design, estimates: Mapping[str, Estimate]) -> list[Figure]:
    values = estimates["jsd_excess"].cluster_values
    known = [template for template, value in values.items() if math.isfinite(value)]
    if not known:
        return []
    template = max(known, key=values.__getitem__)
    words = next(reading.words for reading in readings if reading.template == template)
    likely = sorted(words, key=lambda word: -float(np.nan_to_num(words[word]).mean()))[:_BARS]
    rows = tuple(
        (f"{word!r}, {group}", float(words[word][design.places(group)].mean()))
        for word in likely
        for group in design.groups
    )
    return [Bars(f"Next words of “{template}”", "mean probability over the names of a group", rows)]


def _row(label: str, estimate: Estimate) -> tuple[str, float, float | None, float | None]:
    low, high = (estimate.interval.low, estimate.interval.high) if estimate.interval else (None, None)
    return label, estimate.value, low, high


def _is_odds(metric: str, pair: str) -> bool:
    return metric.startswith("log_odds_") and metric.partition(".")[2] == pair


def _known(value: float) -> float:
    return -math.inf if math.isnan(value) else value
