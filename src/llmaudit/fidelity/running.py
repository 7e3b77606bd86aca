"""Running a comparison: the reference reads first, then one variant after the other is loaded, compared and freed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from llmaudit.audit import Context
from llmaudit.engines.base import Engine, Remarking, Variant
from llmaudit.engines.comparing import Baseline, Comparable, Lexical, Positions, Span
from llmaudit.errors import CapabilityError, ModelError
from llmaudit.fidelity.sizes import Size
from llmaudit.types import Request, Sample

__all__ = ["Asking", "Candidate", "Heard", "Together", "check_vocabularies", "comparable", "compare"]

Together = Literal["auto", "yes", "no"]

#: Memory that two models may take beside their weights.
SPARE = 300_000_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is compared with the reference."""

    name: str
    variant: Variant | None
    """None for the model under audit itself, which is loaded already."""


@dataclass(slots=True)
class Heard:
    """What a model answered, and how it differs from the reference."""

    size: Size
    samples: list[Sample]
    positions: list[Positions] = field(default_factory=list)
    remarks: Sequence[str] = ()
    """What a reader must know of how it was asked."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What every model is asked, and how the reference's predictions are kept."""

    spans: Sequence[Span]
    requests: Mapping[str, Sequence[Request]]
    """Model -> what it is asked beside the spans; the reference is called `reference`."""
    disk: int
    together: Together


def comparable(engine: Engine) -> Comparable:
    """Return the engine. Raises CapabilityError where its predictions cannot be compared."""
    if isinstance(engine, Comparable):
        return engine
    raise CapabilityError(
        f"the engine {engine.info.engine} does not give the probability of every token, which a comparison needs"
    )


def check_vocabularies(reference: Engine, candidates: Iterable[Candidate], context: Context) -> None:
    """Raise ModelError where another model has another vocabulary, before anything is computed or loaded."""
    for candidate in candidates:
        if candidate.variant is None or candidate.variant.model is None:
            continue
        try:
            tokenizer = context.open_tokenizer(candidate.variant.model)
        except ModelError:
            continue  # a model that cannot be had is told of when it is its turn
        _same_vocabulary(reference, candidate.name, tokenizer)


def compare(
    reference: Engine, candidates: Sequence[Candidate], asking: Asking, context: Context
) -> tuple[Heard, dict[str, Heard | str]]:
    """Have the reference and every candidate answer: returns what each gave, or why it could not be had.

    The reference and one candidate are in memory at a time. Where both do not fit, the reference reads as much as the
    disk may hold and is freed, every candidate is compared with that, and so on.
    """
    comparing = comparable(reference)
    answers = context.answer(asking.requests["reference"], reference) if asking.requests["reference"] else []
    own = Heard(Size(comparing.footprint(), math.nan), answers)
    found: dict[str, Heard | str] = {}
    alone = not _fit(comparing, asking.together)
    for portion in _portions(comparing, asking) if alone else [asking.spans]:
        comparing.resume()
        with comparing.baseline(portion, asking.disk) as baseline:
            with _parked(comparing, parked=alone):
                for candidate in candidates:
                    _hear(candidate, found, _Turn(reference, baseline, asking, context))
            own.size = Size(own.size.footprint, baseline.speed)
    return own, found


@dataclass(frozen=True, slots=True)
class _Turn:
    """What a candidate is compared with, and where."""

    reference: Engine
    baseline: Baseline
    asking: Asking
    context: Context


def _hear(candidate: Candidate, found: dict[str, Heard | str], turn: _Turn) -> None:
    """Compare one candidate and add to what was found of it."""
    known = found.get(candidate.name)
    if isinstance(known, str):
        return
    try:
        with _opened(candidate, turn.context) as engine:
            _same_vocabulary(turn.reference, candidate.name, engine)
            comparing = comparable(engine)
            if known is None:
                requests = turn.asking.requests[candidate.name]
                samples = turn.context.answer(requests, engine) if requests else []
                known = found[candidate.name] = Heard(Size(comparing.footprint(), math.nan), samples)
            pairs = list(comparing.compare(turn.baseline))
            known.positions += [positions for positions, _ in pairs]
            known.remarks = tuple(engine.remarks) if isinstance(engine, Remarking) else ()
            known.size = Size(known.size.footprint, _speed(turn.baseline.spans, [seconds for _, seconds in pairs]))
    except _Unavailable as error:
        found[candidate.name] = str(error)


class _Unavailable(Exception):  # noqa: N818 - no error: the variant is skipped
    """A variant cannot be had."""


@contextmanager
def _opened(candidate: Candidate, context: Context) -> Iterator[Engine]:
    if candidate.variant is None:
        yield context.engine
        return
    try:
        engine = context.open_model(candidate.variant)
    except ModelError as error:
        raise _Unavailable(str(error)) from None
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def _parked(engine: Comparable, *, parked: bool) -> Iterator[None]:
    if parked:
        engine.park()
    try:
        yield
    finally:
        engine.resume()


def _fit(reference: Comparable, together: Together) -> bool:
    """Whether a second model fits beside the reference: one as large, as no variant is known to be larger."""
    if together != "auto":
        return together == "yes"
    return reference.room() >= reference.footprint().allocated_bytes + SPARE


def _portions(reference: Comparable, asking: Asking) -> list[list[Span]]:
    """Cut the spans into portions whose predictions fit on the disk; a span that does not even alone is one."""
    portions: list[list[Span]] = [[]]
    used = 0
    for span in asking.spans:
        size = span.size(reference.predicted)
        if size > asking.disk:
            raise CapabilityError(
                f"disk: the predictions for one document take {size / 1e9:.1f} GB; allow as much, or say"
                " window: {tokens: 512, stride: 512}"
            )
        if used + size > asking.disk:
            portions.append([])
            used = 0
        portions[-1].append(span)
        used += size
    return portions


def _same_vocabulary(reference: Engine, name: str, engine: Engine) -> None:
    """Raise ModelError where two engines do not number the same tokens."""
    mine, theirs = (each.vocabulary if isinstance(each, Lexical) else None for each in (reference, engine))
    sizes = [_predicted(each) for each in (reference, engine)]
    if mine != theirs or (isinstance(engine, Comparable) and sizes[0] != sizes[1]):
        raise ModelError(
            f"the reference {reference.info.name} ({sizes[0]} tokens) and the variant {name}, {engine.info.name}"
            f" ({sizes[1]} tokens), have different vocabularies: their predictions cannot be compared"
        )


def _predicted(engine: Engine) -> int:
    return engine.predicted if isinstance(engine, Comparable) else int(engine.info.facts.get("vocabulary_size", 0))


def _speed(spans: Sequence[Span], seconds: Sequence[float]) -> float:
    tokens, total = sum(len(span.ids) - 1 for span in spans), sum(seconds)
    return tokens / total if total else math.nan
