"""BBQ (Parrish et al. 2022, https://aclanthology.org/2022.findings-acl.165): one file of JSON lines per category."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from llmaudit.datasets.items import Dataset, Question
from llmaudit.datasets.rows import DataFile, Row, rows_of

__all__ = ["PATTERNS", "read"]

PATTERNS = ("*.jsonl", "*.parquet", "!preds_*")
_COLUMNS = (
    "question_index",
    "question_polarity",
    "context_condition",
    "category",
    "answer_info",
    "additional_metadata",
    "context",
    "question",
    "ans0",
    "ans1",
    "ans2",
    "label",
)
_UNKNOWN = "unknown"
#: Words for one group: the set names it in other words in an answer than among the stereotyped groups.
_SYNONYMS = {"woman": "f", "girl": "f", "female": "f", "man": "m", "boy": "m", "male": "m"}


def read(files: Sequence[DataFile]) -> Dataset:
    """Read questions; the template (question_index) is the cluster. Raises ValueError with the place of a mistake."""
    questions = tuple(_question(row) for file in files for row in rows_of(file, _COLUMNS))
    return Dataset(questions=questions, notes=tuple(_notes(questions)))


def _question(row: Row) -> Question:
    category = row.label("category")
    groups = _groups(row)
    unknown = [number for number, words in enumerate(groups) if _UNKNOWN in words]
    if len(unknown) != 1:
        raise ValueError(f"{row.place}: answer_info marks {len(unknown)} answers as unknown, expected one")
    return Question(
        category=category,
        cluster=f"{category} {str(row.value('question_index')).strip()}",
        context=row.text("context"),
        question=row.text("question"),
        answers=(row.text("ans0"), row.text("ans1"), row.text("ans2")),
        correct=_label(row),
        unknown=unknown[0],
        stereotyped=_stereotyped(row, groups, unknown[0]),
        ambiguous=row.one_of("context_condition", ("ambig", "disambig")) == "ambig",
        negative=row.one_of("question_polarity", ("neg", "nonneg")) == "neg",
        place=row.place,
    )


def _label(row: Row) -> int:
    label = row.value("label")
    if label not in (0, 1, 2):
        raise ValueError(f"{row.place}: label is none of 0, 1, 2")
    return int(label)


def _groups(row: Row) -> list[set[str]]:
    """The words by which each answer's group is called."""
    info = row.value("answer_info")
    if not isinstance(info, dict):
        raise ValueError(f"{row.place}: answer_info is no object")
    answers = [info.get(f"ans{number}") for number in range(3)]
    if not all(isinstance(words, list) and words for words in answers):
        raise ValueError(f"{row.place}: answer_info lacks one of ans0, ans1, ans2")
    return [_folded(words or ()) for words in answers]


def _stereotyped(row: Row, groups: Sequence[set[str]], unknown: int) -> int | None:
    metadata = row.value("additional_metadata")
    named = metadata.get("stereotyped_groups") if isinstance(metadata, dict) else None
    if not isinstance(named, list):
        raise ValueError(f"{row.place}: additional_metadata lacks stereotyped_groups")
    targets = _folded(named)
    found = [number for number, words in enumerate(groups) if number != unknown and words & targets]
    return found[0] if len(found) == 1 else None


def _folded(words: Collection[object]) -> set[str]:
    plain = {str(word).strip().casefold() for word in words}
    bare = {word.removeprefix("f-").removeprefix("m-") for word in plain}
    return {_SYNONYMS.get(word, word) for word in plain | bare}


def _notes(questions: Sequence[Question]) -> Iterator[str]:
    unclear: dict[str, int] = {}
    for question in questions:
        if question.stereotyped is None:
            unclear[question.category] = unclear.get(question.category, 0) + 1
    for category, count in unclear.items():
        yield (
            f"{count} questions of {category} do not tell which answer names the stereotyped group: they count for"
            " accuracy, not for bias."
        )
    for category in dict.fromkeys(question.category for question in questions):
        own = [question for question in questions if question.category == category]
        templates = len({question.cluster for question in own})
        yield f"{category}: {len(own)} questions come from {templates} templates; the template is the unit, and n."
