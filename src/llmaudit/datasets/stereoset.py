"""StereoSet (Nadeem et al. 2021, https://aclanthology.org/2021.acl-long.416)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmaudit.datasets.items import Association, Dataset
from llmaudit.datasets.rows import DataFile, Row, json_of, rows_of

__all__ = ["PATTERNS", "read"]

PATTERNS = ("*.jsonl", "*.json", "*.parquet")
PARTS = ("intrasentence", "intersentence")
_LABELS = ("stereotype", "anti-stereotype", "unrelated")
#: The order in which the data set's own features name the labels.
_NUMBERED = ("anti-stereotype", "stereotype", "unrelated")


def read(files: Sequence[DataFile]) -> Dataset:
    """Read items: flat JSON lines, the published dev.json, or the hub's Parquet files, one per part.

    Their target terms are the clusters. Raises ValueError with the place of what is wrong.
    """
    associations = tuple(item for file in files for item in _items(file))
    return Dataset(associations=associations, notes=_notes(associations))


def _items(file: DataFile) -> Iterator[Association]:
    if file.name.endswith(".json"):
        for part, rows in _published(file).items():
            yield from (_item(row, part, _by_gold_label(row)) for row in rows)
    elif file.name.endswith(".parquet"):
        for row in rows_of(file, ("target", "bias_type", "context", "sentences")):
            yield _item(row, _part_of(file), _by_gold_label(row))
    else:
        for row in rows_of(file, ("type", "target", "bias_type", "context", *_LABELS)):
            yield _item(row, row.one_of("type", PARTS), {label: row.text(label) for label in _LABELS})


def _part_of(file: DataFile) -> str:
    part = next((name for name in PARTS if name in file.name), None)
    if part is None:
        raise ValueError(f"{file.name}: neither intrasentence nor intersentence stands in the name")
    return part


def _item(row: Row, part: str, sentences: Mapping[str, str]) -> Association:
    if len(set(sentences.values())) < len(_LABELS):
        raise ValueError(f"{row.place}: two of the three sentences are the same")
    context = row.text("context")
    return Association(
        part=part,
        category=row.label("bias_type"),
        cluster=row.text("target"),
        # The sentences of this part hold the context already, with the blank filled.
        context="" if part == "intrasentence" else context,
        stereotype=sentences["stereotype"],
        anti_stereotype=sentences["anti-stereotype"],
        unrelated=sentences["unrelated"],
        place=row.place,
    )


def _published(file: DataFile) -> Mapping[str, list[Row]]:
    content = json_of(file.text, file.name)
    data = content.get("data") if isinstance(content, dict) else None
    parts = {part: data[part] for part in PARTS if part in data} if isinstance(data, dict) else {}
    if not parts or not all(
        isinstance(items, list) and all(isinstance(i, dict) for i in items) for items in parts.values()
    ):
        raise ValueError(f"{file.name}:1: expected the layout of StereoSet's dev.json")
    return {
        part: [Row(f"{file.name}: {part} record {number}", item) for number, item in enumerate(items, start=1)]
        for part, items in parts.items()
    }


def _by_gold_label(row: Row) -> dict[str, str]:
    """Sentence by label, from a list of objects or from the columns that Parquet makes of it."""
    found: dict[str, str] = {}
    for sentence, label in _labelled(row):
        name = _NUMBERED[label] if isinstance(label, int) and 0 <= label < len(_NUMBERED) else label
        if isinstance(sentence, str) and sentence.strip():
            found[str(name)] = sentence.strip()
    if set(found) != set(_LABELS):
        raise ValueError(f"{row.place}: expected one sentence each of {', '.join(_LABELS)}")
    return found


def _labelled(row: Row) -> list[tuple[Any, Any]]:
    sentences = row.value("sentences")
    if isinstance(sentences, dict):
        columns = [sentences.get("sentence"), sentences.get("gold_label")]
        if all(isinstance(column, list) for column in columns):
            return list(zip(*columns, strict=False))
    if isinstance(sentences, list) and all(isinstance(each, dict) for each in sentences):
        return [(each.get("sentence"), each.get("gold_label")) for each in sentences]
    raise ValueError(f"{row.place}: sentences is no list of sentences")


def _notes(items: Sequence[Association]) -> tuple[str, ...]:
    first: dict[tuple[str, ...], str] = {}
    texts = [(item.context, item.stereotype, item.anti_stereotype, item.unrelated) for item in items]
    twice = [i.place for i, each in zip(items, texts, strict=True) if first.setdefault(each, i.place) != i.place]
    return (f"Items that stand in the file more than once, and count so: {', '.join(twice[:5])}.",) if twice else ()
