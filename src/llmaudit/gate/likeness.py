"""Whether two audits measured the same thing, and if not, what exactly differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from llmaudit.records import AuditRecord, EstimateRecord
from llmaudit.types import ModelInfo

__all__ = ["counts_tokens", "differences", "same_tokenizer", "scorer_differences"]

#: Longest value that is shown as it stands.
_LONGEST = 24


def differences(before: AuditRecord, after: AuditRecord) -> tuple[str, ...]:
    """Say what differs between two audits of one name: kind, parameters (stimuli, samples, decoding), scorers.

    Empty where both measured the same by the same means. Limits, margins and waivers are no part of it.
    """
    if before.kind != after.kind:
        return (f"kind {before.kind} there, {after.kind} here",)
    if not before.design and after.design:
        return ("the baseline does not say what it measured: it was written by an older llmaudit",)
    return (*_parameters(before.design, after.design), *scorer_differences(before, after))


def scorer_differences(before: AuditRecord, after: AuditRecord) -> tuple[str, ...]:
    """Say which scorers are of another version: what they score is on another scale."""
    old = {scorer.name: scorer.version for scorer in before.scorers}
    both = ((scorer.name, old[scorer.name], scorer.version) for scorer in after.scorers if scorer.name in old)
    return tuple(f"scorer {name} {was} there, {now} here" for name, was, now in both if was != now)


def same_tokenizer(before: ModelInfo | None, after: ModelInfo | None) -> bool:
    """Whether two models cut text alike, as far as it is known; of what names no vocabulary, its name must do."""
    if before is None or after is None:
        return False
    if before.tokenizer is not None or after.tokenizer is not None:
        return before.tokenizer == after.tokenizer
    sizes = [info.facts.get("vocabulary_size") for info in (before, after)]
    return sizes[0] == sizes[1] if None not in sizes else before.resolved == after.resolved


def counts_tokens(estimate: EstimateRecord) -> bool:
    """Whether a metric is counted in tokens or per token, which another tokenizer changes by itself.

    Tokens per word, per term or per sentence are not: there the cost of a text is what is asked.
    """
    name = estimate.metric.rpartition("perplexity")
    per_token = estimate.unit == "perplexity" and not name[0].endswith("word_")
    return per_token or estimate.unit == "tokens" or estimate.unit.endswith(("per token", "/token"))


def _parameters(before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[str]:
    for name in dict.fromkeys([*before, *after]):
        # A parameter that an older llmaudit did not know was not given either.
        old, new = before.get(name, "null"), after.get(name, "null")
        if old == new:
            continue
        if _short(old) and _short(new):
            yield f"{name} {_shown(old)} there, {_shown(new)} here"
        else:
            yield f"other {name}"


def _short(value: str) -> bool:
    # What is long is a hash, or text that no terminal should show.
    return len(value) <= _LONGEST and not value.startswith(("[", "{", "sha256:"))


def _shown(value: str) -> str:
    # The baseline's file may hold anything, and this goes to the terminal.
    text = "".join(mark if mark.isprintable() else "?" for mark in value)
    return "none" if text == "null" else text.strip('"')
