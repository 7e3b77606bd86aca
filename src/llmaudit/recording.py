"""The records of an audit that has run: judged, with evidence, as plain data."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from llmaudit.audit import CheckParams
from llmaudit.errors import AuditError
from llmaudit.execution import Finished
from llmaudit.gate import AuditGate, Gate, changed_items, stored_samples
from llmaudit.looks import grows, look_settings
from llmaudit.records import (
    AuditRecord,
    BaselineRecord,
    EstimateRecord,
    Evidence,
    LimitRecord,
    NoiseFloor,
    Outcome,
    Record,
    ScorerRecord,
    SuiteRecord,
    Waiver,
    to_plain,
)
from llmaudit.relevelling import relevelled
from llmaudit.scorers.base import Scorer, Validated
from llmaudit.stats import Limit, judge
from llmaudit.stimuli import chosen_scorers
from llmaudit.suite import AuditEntry, CheckEntry, Look, Suite
from llmaudit.types import Completion, Estimate, Failure, Generate, Likelihood, NextTokens, Response, Sample

__all__ = [
    "audit_record",
    "blank_record",
    "plain_audit",
    "planned_audit",
    "record_check",
    "sample_lines",
    "suite_record",
]

#: How many samples a record carries as evidence; the others are in samples.jsonl.gz.
_EVIDENCE = 6
#: Characters of a parameter that a record holds as it stands.
_LONGEST_PARAMETER = 80
_SMOKE = "smoke run: nothing is judged"


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
        limit=LimitRecord(params.max, params.min, params.margin, params.why, check.margin_why),
        family=_family(suite, params.role),
        gates=verdict == "error",
        waiver=waiver,
    )


def record_check(finished: Finished, check: CheckEntry, against: AuditGate | None = None) -> Record:
    """Judge one check of an audit that has run: by its limit, and by its margin where there is a baseline.

    Both must hold: worse than the baseline fails a check, and what either leaves open is inconclusive.
    """
    estimate = _now(finished, check.metric)
    verdict, reason = _verdict(finished, check, estimate)
    baseline = None
    if against is not None and not finished.smoke:
        if (look := _early(finished)) is None:
            baseline = against.judge(check.metric, check.params.margin, verdict)
            verdict, reason = _both(verdict, reason, baseline)
        elif check.params.margin is not None and verdict != "fail":
            # A margin has all of its error at the last look, as every interval that cannot be made at another level.
            verdict, reason = "inconclusive", f"{reason}; {look}: the last look alone judges the margin"
    blank = blank_record(finished.suite, finished.entry, check, verdict, reason)
    confirmatory = check.params.role == "confirmatory"
    gates = confirmatory and (
        verdict == "fail" or (verdict == "inconclusive" and check.params.on_inconclusive == "fail")
    )
    return replace(
        blank,
        estimate=EstimateRecord.of(estimate, finished.entry.audit.offered[check.metric].description),
        gates=gates,
        evidence=_evidence(finished, check.metric),
        baseline=baseline,
    )


def suite_record(suite: Suite) -> SuiteRecord:
    """What a run keeps of a suite."""
    declared: Counter[str] = Counter(check.params.role for entry in suite.audits for check in entry.checks)
    return SuiteRecord(suite.name, suite.description, str(suite.path), suite.sha256, dict(declared))


def planned_audit(suite: Suite, entry: AuditEntry) -> AuditRecord:
    """What is known of an audit before it runs: what it will ask, how, and by which scorers."""
    audit = entry.audit
    scorers = chosen_scorers(getattr(audit.params, "scorers", []), audit.scorers).values()
    return AuditRecord(
        id=f"{suite.name}/{entry.name}",
        suite=suite.name,
        audit=entry.name,
        kind=audit.kind,
        question=audit.question,
        settings=(*audit.settings(), *look_settings(suite, entry)),
        limitations=tuple(audit.limitations),
        scorers=tuple(map(_scorer_record, scorers)),
        design=_design(entry),
    )


def audit_record(finished: Finished, noise: tuple[NoiseFloor, ...] = ()) -> AuditRecord:
    """What the report shows of an audit, its estimates included."""
    measurement, offered = finished.measurement, finished.entry.audit.offered
    return replace(
        planned_audit(finished.suite, finished.entry),
        estimates=tuple(
            EstimateRecord.of(estimate, offered[name].description) for name, estimate in measurement.estimates.items()
        ),
        figures=measurement.figures,
        tables=measurement.tables,
        notes=(*measurement.notes, *_failures(finished.samples)),
        prompts=tuple(dict.fromkeys(map(_asked, finished.samples))),
        noise=noise,
        timing=finished.timing,
    )


def plain_audit(finished: Finished, noise: tuple[NoiseFloor, ...] = (), gate: Gate | None = None) -> dict[str, Any]:
    """Return the audit's record as plain data, after a look at whether it can be read back. Raises AuditError.

    With a gate the record tells what changed item by item against the baseline.
    """
    record = audit_record(finished, noise)
    if gate is not None and not finished.smoke:
        record = _with_changes(record, finished, gate)
    plain: dict[str, Any] = to_plain(record)
    try:
        TypeAdapter(AuditRecord).validate_python(plain)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise AuditError(
            f"the kind {finished.entry.audit.kind} measured something odd: {place}: {first['msg']}"
        ) from None
    return plain


def _with_changes(record: AuditRecord, finished: Finished, gate: Gate) -> AuditRecord:
    if gate.audit(record) is None:
        return record
    before = stored_samples(gate.baseline, record)
    if before is None:
        note = "What changed item by item cannot be shown: the baseline's samples.jsonl.gz is missing or damaged."
        return replace(record, notes=(*record.notes, note))
    return replace(record, changed=changed_items(before, [to_plain(line) for line in sample_lines(finished)]))


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


def _scorer_record(scorer: Scorer) -> ScorerRecord:
    validation = str(scorer.validation) if isinstance(scorer, Validated) else "not validated"
    return ScorerRecord(scorer.name, scorer.version, scorer.description, scorer.unit, validation)


def _early(finished: Finished) -> Look | None:
    """The look that this audit is judged at before all of its samples are there; None where they are."""
    look = finished.suite.look
    return look if look is not None and not look.last and grows(finished.entry) else None


def _now(finished: Finished, metric: str) -> Estimate:
    """Return an estimate as it may be judged: where its samples grow from look to look, at the level of this look."""
    estimates, look = finished.measurement.estimates, finished.suite.look
    if look is None or not grows(finished.entry):
        return estimates[metric]
    found = relevelled(estimates, metric, look.level)
    if found is not None or look.last:
        # At the last look an interval at 90 % is right for what no earlier look has judged.
        return found or estimates[metric]
    problem = f"{look}: this interval cannot be made at another level, so that the last look alone judges it"
    return replace(estimates[metric], problem=estimates[metric].problem or problem)


def _verdict(finished: Finished, check: CheckEntry, estimate: Estimate) -> tuple[Outcome, str]:
    if finished.smoke:
        return "measured", _SMOKE
    params: CheckParams = check.params
    if params.max is None and params.min is None:
        return "measured", "no limit declared" if params.margin is None else "a margin alone: judged with --baseline"
    judgement = judge(estimate, Limit(params.max, params.min))
    verdicts: Mapping[str, Outcome] = {"pass": "pass", "fail": "fail", "inconclusive": "inconclusive"}
    return verdicts[judgement.verdict.value], judgement.reason


def _both(verdict: Outcome, reason: str, baseline: BaselineRecord) -> tuple[Outcome, str]:
    """Join what the limit says with what the margin says: an intersection-union test, so that neither is corrected."""
    words = f"against the baseline {baseline.verdict}: {baseline.reason}"
    if baseline.verdict in {"measured", "not compared"}:
        return verdict, f"{reason}; {words}" if baseline.verdict == "not compared" else reason
    shifted: Outcome = {"worse": "fail", "inconclusive": "inconclusive"}.get(baseline.verdict, "pass")  # type: ignore[assignment]
    order: Sequence[Outcome] = ("fail", "inconclusive", "pass")
    if verdict == "measured":
        return shifted, words
    return min(verdict, shifted, key=order.index), f"{reason}; {words}"


def _design(entry: AuditEntry) -> dict[str, str]:
    """Every parameter that decides what is asked and measured, by name: as JSON, or as a hash where that is long."""
    params = entry.audit.params.model_dump(mode="json", exclude={"kind", "question", "checks", "skip", "xfail"})
    texts = {name: json.dumps(value, sort_keys=True, ensure_ascii=False) for name, value in params.items()}
    return {
        name: text if len(text) <= _LONGEST_PARAMETER else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        for name, text in texts.items()
    }


def _evidence(finished: Finished, metric: str) -> tuple[Evidence, ...]:
    found: list[Evidence] = []
    for index in finished.measurement.evidence.get(metric, ())[:_EVIDENCE]:
        sample = finished.samples[index]
        scores = {name: values[index] for name, values in finished.measurement.scores.items()}
        found.append(Evidence(_asked(sample), _answered(sample.response), dict(sample.request.factors), scores))
    return tuple(found)


def _answered(response: Response) -> str:
    """A response as a reader reads it."""
    if isinstance(response, Completion):
        return response.text
    if isinstance(response, Likelihood):
        return f"log-likelihood {response.logprob:.2f} nats over {response.tokens} tokens"
    if isinstance(response, NextTokens):
        return ", ".join(f"{word!r} {math.exp(logprob):.1%}" for word, logprob in response.top)
    return str(response)


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
        check.params.role == role and not entry.audit.offered[check.metric].deterministic
        for entry in suite.audits
        for check in entry.checks
    )


def _asked(sample: Sample) -> str:
    request = sample.request
    if isinstance(sample.response, Completion):
        return sample.response.prompt
    texts = [getattr(request, name, "") for name in ("prompt", "context", "continuation", "text")]
    return "".join(texts)
