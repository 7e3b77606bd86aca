"""Runs one audit on an engine: requests answered, measured, judged, recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from llmaudit.audit import Measurement, two_per_cell
from llmaudit.engines.base import Engine, Variant
from llmaudit.errors import AuditError, CapabilityError, ModelError
from llmaudit.records import (
    Timing,
)
from llmaudit.store import ResponseStore, fingerprint
from llmaudit.suite import AuditEntry, Suite
from llmaudit.types import Completion, Generate, Likelihood, Request, Response, Sample, Tokenize
from llmaudit.variants import with_drift

__all__ = ["Execution", "Finished", "finish"]

#: Called with (answered so far, asked in all).
Progress = Callable[[int, int], None]

#: Requests for numbers that are asked together: half a minute's work at most, which is what a killed run loses.
_PORTION = 512


@dataclass(slots=True)
class Execution:
    """What an audit runs in: an engine, a way to other tokenizers, and a count of what was asked."""

    engine: Engine
    tokenizer_of: Callable[[str], Engine]
    progress: Progress
    smoke: bool = False
    store: ResponseStore | None = None
    seed: int = 0
    engine_of: Callable[[Variant], Engine] | None = None
    """Loads another model; None where the run has no way to."""
    requests: int = 0
    kept: int = 0
    """How many of the requests the store answered."""
    generated_tokens: int = 0
    scored_tokens: int = 0
    engine_seconds: float = 0.0
    _opened: list[Engine] = field(default_factory=list)

    def answer(self, requests: Iterable[Request], engine: Engine | None = None) -> list[Sample]:
        """Have requests answered, in their own order."""
        asked = list(two_per_cell(requests) if self.smoke else requests)
        answering = engine or self.engine
        model = self._key(answering)
        responses = self._kept(model, asked)
        self.progress(len(responses), len(asked))
        for call in _calls(asked, responses):
            with closing(self._timed(answering.run([asked[index] for index in call]))) as answers:
                for place, response in answers:
                    index = call[place]
                    if index in responses:  # known, and asked for the sake of its company alone
                        continue
                    responses[index] = response
                    self._keep(model, answering.info.name, asked[index], response)
                    self.progress(len(responses), len(asked))
        for response in responses.values():
            self._count(response)
        self.requests += len(asked)
        if len(responses) < len(asked):
            raise AssertionError("the engine left a request unanswered; it must yield a Failure instead")
        return [Sample(request, responses[index]) for index, request in enumerate(asked)]

    def open_tokenizer(self, model: str) -> Engine:
        """Return an engine that answers Tokenize with the tokenizer of another model."""
        engine = self.tokenizer_of(model)
        self._opened.append(engine)
        return engine

    def open_model(self, variant: Variant) -> Engine:
        """Return the engine of another model. Raises ModelError where it cannot be had."""
        if self.engine_of is None:
            raise ModelError("this run has no way to load another model")
        engine = self.engine_of(variant)
        self._opened.append(engine)
        return engine

    def close(self) -> None:
        """Close what was opened on the way; the engine itself belongs to the session."""
        for engine in self._opened:
            engine.close()

    def _timed(self, responses: Iterator[tuple[int, Response]]) -> Generator[tuple[int, Response]]:
        """Pass responses on and add up how long each was waited for."""
        try:
            while True:
                started = time.perf_counter()
                item = next(responses, None)
                self.engine_seconds += time.perf_counter() - started
                if item is None:
                    return
                yield item
        finally:
            # An engine may have to put something back: at once, not when nobody remembers its generator any more.
            if isinstance(responses, Generator):
                responses.close()

    def _key(self, engine: Engine) -> str | None:
        """What the answers of an engine are stored under; a tokenizer alone answers faster than the store."""
        return fingerprint(engine.info, self.seed) if self.store is not None else None

    def _kept(self, model: str | None, asked: Sequence[Request]) -> dict[int, Response]:
        kept = self.store.get(model, asked) if self.store is not None and model is not None else {}
        self.kept += len(kept)
        return kept

    def _keep(self, model: str | None, name: str, request: Request, response: Response) -> None:
        if self.store is not None and model is not None:
            self.store.put(model, name, request, response)

    def _count(self, response: Response) -> None:
        if isinstance(response, Completion):
            self.generated_tokens += response.tokens
        elif isinstance(response, Likelihood):
            self.scored_tokens += response.tokens


def _calls(asked: Sequence[Request], known: Mapping[int, Response]) -> list[list[int]]:
    """Say which requests to ask together, by index.

    A draw does not depend on its company, so that only what is missing is asked. A number read off the logits does, in
    its last digits: such requests are asked in portions that are the same in every run of the audit, and a portion of
    which anything is missing is asked again as a whole. So a run that was killed ends with the numbers of one that was
    not.
    """
    drawn = [index for index, request in enumerate(asked) if isinstance(request, Generate | Tokenize)]
    read = [index for index, request in enumerate(asked) if not isinstance(request, Generate | Tokenize)]
    portions = (read[start : start + _PORTION] for start in range(0, len(read), _PORTION))
    calls = [[index for index in drawn if index not in known]]
    calls += [portion for portion in portions if any(index not in known for index in portion)]
    return [call for call in calls if call]


@dataclass(frozen=True, slots=True)
class Finished:
    """An audit that has run."""

    entry: AuditEntry
    suite: Suite
    measurement: Measurement
    samples: Sequence[Sample]
    timing: Timing
    smoke: bool


def finish(entry: AuditEntry, suite: Suite, execution: Execution) -> Finished:
    """Run an audit. Raises CapabilityError where the engine does not answer what it needs."""
    missing = entry.audit.needs - execution.engine.capabilities
    if missing:
        names = ", ".join(sorted(request.__name__ for request in missing))
        raise CapabilityError(f"the engine {execution.engine.info.engine} does not answer {names}")
    started = time.perf_counter()
    try:
        measurement, samples = entry.audit.run(execution)
        measurement = with_drift(entry.audit, measurement, execution)
    finally:
        execution.close()
    _check(entry, measurement, len(samples))
    seconds = time.perf_counter() - started
    timing = Timing(
        seconds,
        execution.requests,
        execution.generated_tokens,
        execution.scored_tokens,
        execution.kept,
        execution.engine_seconds,
    )
    return Finished(entry, suite, measurement, samples, timing, execution.smoke)


def _check(entry: AuditEntry, measurement: Measurement, samples: int) -> None:
    known, measured = set(entry.audit.offered), set(measurement.estimates)
    wanted = {check.metric for check in entry.checks}
    for names, what in ((measured - known, "does not declare"), (wanted - measured, "declares and does not measure")):
        if names:
            raise AuditError(f"the kind {entry.audit.kind} {what} {', '.join(sorted(names))}")
    for name, values in measurement.scores.items():
        if len(values) != samples:
            raise AuditError(f"the kind {entry.audit.kind} gives {len(values)} scores of {name} for {samples} samples")
