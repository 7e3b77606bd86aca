"""Item by item: which requests two models answered differently, and which answers changed a score."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any

from llmaudit.records import AuditRecord, ChangedItem, ChangedItems
from llmaudit.run import Run

__all__ = ["changed_items", "stored_samples"]

#: A sample as samples.jsonl.gz holds it.
Line = Mapping[str, Any]
Pair = tuple[Line, Line]

#: Items kept of each score, the largest changes first.
_KEPT = 20
#: Characters of a prompt or an answer that are kept.
_LONGEST = 600
#: What a comparison looks at.
_NEEDED = {"cluster", "request", "asked", "response", "factors", "scores"}
#: Changes below this, relative to the numbers, are rounding.
_ROUNDING = 1e-9


def stored_samples(run: Run, audit: AuditRecord) -> list[Line] | None:
    """Return the samples of an audit that a run has stored, in their order; None where they cannot be read."""
    if run.folder is None:
        return None
    try:
        with gzip.open(run.folder / "samples.jsonl.gz", "rt", encoding="utf-8") as lines:
            # Samples of other audits are most of a run: they are told by the name that they lack, and not parsed.
            name = f'"audit": {json.dumps(audit.audit, ensure_ascii=False)}'
            found = [json.loads(line) for line in lines if name in line or '"audit"' not in line]
        own = [line for line in found if (line["suite"], line["audit"]) == (audit.suite, audit.audit)]
        return own if all(line.keys() >= _NEEDED for line in own) else None
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError):
        return None


def changed_items(before: Sequence[Line], after: Sequence[Line]) -> tuple[ChangedItems, ...]:
    """Compare the samples of two runs of one audit, score by score.

    Samples are matched by cluster, factors, text and number of the draw; where a chat template makes other texts of one
    prompt, by their order. Where an audit gives no scores, the number that the model itself gives takes their place.
    """
    pairs = _matched(before, after)
    unmatched = len(before) + len(after) - 2 * len(pairs)
    names = dict.fromkeys(name for pair in pairs for line in pair for name in _scores(line))
    return tuple(_by_score(name, pairs, unmatched) for name in names or ("answer",))


def _matched(before: Sequence[Line], after: Sequence[Line]) -> list[Pair]:
    found: list[Pair] = []
    old, new = list(before), list(after)
    for exact in (True, False):
        places: dict[str, deque[int]] = defaultdict(deque)
        for number, line in enumerate(old):
            places[_key(line, exact=exact)].append(number)
        taken, left = set(), []
        for line in new:
            if same := places[_key(line, exact=exact)]:
                taken.add(same[0])
                found.append((old[same.popleft()], line))
            else:
                left.append(line)
        old, new = [line for number, line in enumerate(old) if number not in taken], left
    return found


def _key(line: Line, *, exact: bool) -> str:
    parts = [line["request"], line["cluster"], line.get("sample"), line["factors"], line["asked"] if exact else None]
    return json.dumps(parts, sort_keys=True)


def _by_score(name: str, pairs: Sequence[Pair], unmatched: int) -> ChangedItems:
    moved = [(_change(name, pair), pair) for pair in pairs]
    differing = [(change, pair) for change, pair in moved if change or _answer(pair[0]) != _answer(pair[1])]
    # A change of the score first, by its size; then answers that merely read differently.
    differing.sort(key=lambda item: -abs(item[0] or 0.0))
    return ChangedItems(
        score=name,
        matched=len(pairs),
        answers_changed=sum(_answer(one) != _answer(other) for one, other in pairs),
        risen=sum(change is not None and change > 0 for change, _ in moved),
        fallen=sum(change is not None and change < 0 for change, _ in moved),
        unmatched=unmatched,
        items=tuple(_item(name, pair) for _, pair in differing[:_KEPT]),
    )


def _change(name: str, pair: Pair) -> float | None:
    one, other = (_scores(line).get(name) for line in pair)
    if one is None or other is None:
        return None
    size = max(abs(one), abs(other))
    return other - one if abs(other - one) > _ROUNDING * size else 0.0


def _item(name: str, pair: Pair) -> ChangedItem:
    one, other = pair
    return ChangedItem(
        cluster=str(one["cluster"]),
        asked=_cut(one["asked"]),
        before=_cut(_answer(one)),
        after=_cut(_answer(other)),
        score_before=_scores(one).get(name),
        score_after=_scores(other).get(name),
        factors=dict(one["factors"]),
    )


def _scores(line: Line) -> dict[str, float | None]:
    scores: dict[str, float | None] = {
        name: value for name, value in line["scores"].items() if isinstance(value, int | float)
    }
    own = {"Likelihood": "logprob", "NextTokens": "entropy"}.get(line["response"])
    return scores if scores or own is None else {own: line.get(own)}


def _answer(line: Line) -> str:
    """A response as a reader reads it."""
    match line["response"]:
        case "Completion":
            return str(line["text"])
        case "Likelihood":
            return f"log-likelihood {line['logprob']} nats over {line['tokens']} tokens"
        case "NextTokens":
            return ", ".join(repr(word) for word, _ in line["top"])
        case "Tokens":
            return " ".join(map(str, line["pieces"]))
        case "Failure":
            return f"failed: {line['error']}"
        case other:
            return str(other)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
