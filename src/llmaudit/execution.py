"""Runs one audit on an engine: requests answered, measured, judged, recorded."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from llmaudit.audit import CheckParams, Measurement, two_per_cell
from llmaudit.engines.base import Engine
from llmaudit.errors import AuditError, CapabilityError
from llmaudit.records import (
    AuditRecord,
    EstimateRecord,
    Evidence,
    LimitRecord,
    NoiseFloor,
    Outcome,
    Record,
    ScorerRecord,
    Timing,
    Waiver,
    to_plain,
)
from llmaudit.stats import Limit, judge
from llmaudit.store import ResponseStore, fingerprint
from llmaudit.suite import AuditEntry, CheckEntry, Suite
from llmaudit.types import Completion, Failure, Generate, Likelihood, Request, Response, Sample, Tokenize

__all__ = [
    "Execution",
    "Finished",
    "audit_record",
    "blank_record",
    "finish",
    "plain_audit",
    "record_check",
    "sample_lines",
]

#: Called with (answered so far, asked in all).
Progress = Callable[[int, int], None]

#: How many samples a record carries as evidence; the others are in samples.jsonl.gz.
_EVIDENCE = 6
#: Requests for numbers that are asked together: half a minute's work at most, which is what a killed run loses.
_PORTION = 512
_SMOKE = "smoke run: nothing is judged"


@dataclass(slots=True)
class Execution:
    """What an audit runs in: an engine, a way to other tokenizers, and a count of what was asked."""

    engine: Engine
    tokenizer_of: Callable[[str], Engine]
    progress: Progress
    smoke: bool = False
    store: ResponseStore | None = None
    seed: int = 0
    requests: int = 0
    kept: int = 0
    """How many of the requests the store answered."""
    generated_tokens: int = 0
    scored_tokens: int = 0
    engine_seconds: float = 0.0
    _opened: list[Engine] = field(default_factory=list)
    _model: str | None = field(init=False)

    def __post_init__(self) -> None:
        self._model = fingerprint(self.engine.info, self.seed)

    def answer(self, requests: Iterable[Request], engine: Engine | None = None) -> list[Sample]:
        """Have requests answered, in their own order."""
        asked = list(two_per_cell(requests) if self.smoke else requests)
        responses = self._kept(asked) if engine is None else {}
        self.progress(len(responses), len(asked))
        for call in _calls(asked, responses):
            for place, response in self._timed((engine or self.engine).run([asked[index] for index in call])):
                index = call[place]
                responses[index] = response
                if engine is None:
                    self._keep(asked[index], response)
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

    def close(self) -> None:
        """Close what was opened on the way; the engine itself belongs to the session."""
        for engine in self._opened:
            engine.close()

    def _timed(self, responses: Iterator[tuple[int, Response]]) -> Iterator[tuple[int, Response]]:
        """Pass responses on and add up how long each was waited for."""
        while True:
            started = time.perf_counter()
            item = next(responses, None)
            self.engine_seconds += time.perf_counter() - started
            if item is None:
                return
            yield item

    def _kept(self, asked: Sequence[Request]) -> dict[int, Response]:
        kept = self.store.get(self._model, asked) if self.store is not None and self._model is not None else {}
        self.kept += len(kept)
        return kept

    def _keep(self, request: Request, response: Response) -> None:
        if self.store is not None and self._model is not None:
            self.store.put(self._model, self.engine.info.name, request, response)

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
    finally:
        execution.close()
    _check(entry, measurement)
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


def blank_record(suite: Suite, entry: AuditEntry, check: CheckEntry, verdict: Outcome, reason: str) -> Record:
    """The record of a check that has no estimate: skipped, or not reached for an error."""
    params = check.params
    expected = params.xfail or entry.audit.params.xfail
    waiver = Waiver(expected.reason, expected.expires.isoformat()) if expected else None
    key = f"{suite.name}\x1f{entry.name}\x1f{check.metric}\x1f{check.content_hash}"
    return Record(
        id=hashlib.sha256(key.encode()).hexdigest()[:16],
        suite=suite.name,
        audit=entry.name,
        kind=entry.audit.kind,
        check=check.metric,
        metric=check.metric,
        role=params.role,
        verdict=verdict,
        reason=reason,
        limit=LimitRecord(params.max, params.min, params.margin, params.why),
        family=_family(suite, params.role),
        gates=verdict == "error",
        waiver=waiver,
    )


def record_check(finished: Finished, check: CheckEntry) -> Record:
    """Judge one check of an audit that has run."""
    estimate = finished.measurement.estimates[check.metric]
    verdict, reason = _verdict(finished, check)
    blank = blank_record(finished.suite, finished.entry, check, verdict, reason)
    confirmatory = check.params.role == "confirmatory"
    gates = confirmatory and (
        verdict == "fail" or (verdict == "inconclusive" and check.params.on_inconclusive == "fail")
    )
    return replace(
        blank,
        estimate=EstimateRecord.of(estimate, finished.entry.audit.metrics[check.metric].description),
        gates=gates,
        evidence=_evidence(finished, check.metric),
    )


def audit_record(finished: Finished, noise: tuple[NoiseFloor, ...] = ()) -> AuditRecord:
    """What the report shows of an audit, its estimates included."""
    audit, measurement = finished.entry.audit, finished.measurement
    names = list(getattr(audit.params, "scorers", []))
    scorers = [audit.scorers[name] for name in names]
    return AuditRecord(
        id=f"{finished.suite.name}/{finished.entry.name}",
        suite=finished.suite.name,
        audit=finished.entry.name,
        kind=audit.kind,
        question=audit.question,
        settings=tuple(audit.settings()),
        limitations=tuple(audit.limitations),
        scorers=tuple(ScorerRecord(s.name, s.version, s.description, s.unit) for s in scorers),
        estimates=tuple(
            EstimateRecord.of(estimate, audit.metrics[name].description)
            for name, estimate in measurement.estimates.items()
        ),
        figures=measurement.figures,
        tables=measurement.tables,
        notes=(*measurement.notes, *_failures(finished.samples)),
        prompts=tuple(dict.fromkeys(map(_asked, finished.samples))),
        noise=noise,
        timing=finished.timing,
    )


def plain_audit(finished: Finished, noise: tuple[NoiseFloor, ...] = ()) -> dict[str, Any]:
    """Return the audit's record as plain data, after a look at whether it can be read back. Raises AuditError."""
    plain: dict[str, Any] = to_plain(audit_record(finished, noise))
    try:
        TypeAdapter(AuditRecord).validate_python(plain)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise AuditError(
            f"the kind {finished.entry.audit.kind} measured something odd: {place}: {first['msg']}"
        ) from None
    return plain


def sample_lines(finished: Finished) -> Iterator[dict[str, Any]]:
    """One flat mapping per sample, as samples.jsonl.gz stores it."""
    for number, sample in enumerate(finished.samples):
        request, response = sample.request, sample.response
        line: dict[str, Any] = {
            "suite": finished.suite.name,
            "audit": finished.entry.name,
            "kind": finished.entry.audit.kind,
            "cluster": request.cluster,
            "request": type(request).__name__,
            "asked": _asked(sample),
            "response": type(response).__name__,
        }
        if isinstance(request, Generate):
            line["sample"] = request.sample
        line |= {name: getattr(response, name) for name in response.__slots__}
        line["factors"] = dict(request.factors)
        line["scores"] = {name: values[number] for name, values in finished.measurement.scores.items()}
        yield line


def _verdict(finished: Finished, check: CheckEntry) -> tuple[Outcome, str]:
    if finished.smoke:
        return "measured", _SMOKE
    params: CheckParams = check.params
    if params.max is None and params.min is None:
        return "measured", "no limit declared"
    judgement = judge(finished.measurement.estimates[check.metric], Limit(params.max, params.min))
    verdicts: Mapping[str, Outcome] = {"pass": "pass", "fail": "fail", "inconclusive": "inconclusive"}
    return verdicts[judgement.verdict.value], judgement.reason


def _evidence(finished: Finished, metric: str) -> tuple[Evidence, ...]:
    found: list[Evidence] = []
    for index in finished.measurement.evidence.get(metric, ())[:_EVIDENCE]:
        sample = finished.samples[index]
        answer = sample.response.text if isinstance(sample.response, Completion) else str(sample.response)
        scores = {name: values[index] for name, values in finished.measurement.scores.items()}
        found.append(Evidence(_asked(sample), answer, dict(sample.request.factors), scores))
    return tuple(found)


def _check(entry: AuditEntry, measurement: Measurement) -> None:
    known, measured = set(entry.audit.metrics), set(measurement.estimates)
    wanted = {check.metric for check in entry.checks}
    for names, what in ((measured - known, "does not declare"), (wanted - measured, "declares and does not measure")):
        if names:
            raise AuditError(f"the kind {entry.audit.kind} {what} {', '.join(sorted(names))}")


def _failures(samples: Sequence[Sample]) -> list[str]:
    """Say why requests failed, with the commonest reason."""
    errors = Counter(sample.response.error for sample in samples if isinstance(sample.response, Failure))
    if not errors:
        return []
    (error, count), *_ = errors.most_common(1)
    return [f"{errors.total()} of {len(samples)} requests failed; {count} of them with: {error}"]


def _family(suite: Suite, role: str) -> int:
    """How many checks of a role the suite declares, but for exact ones; where one has no p-value it counts as p = 1."""
    return sum(
        check.params.role == role and not entry.audit.metrics[check.metric].deterministic
        for entry in suite.audits
        for check in entry.checks
    )


def _asked(sample: Sample) -> str:
    request = sample.request
    if isinstance(sample.response, Completion):
        return sample.response.prompt
    texts = [getattr(request, name, "") for name in ("prompt", "context", "continuation", "text")]
    return "".join(texts)
