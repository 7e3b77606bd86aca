"""Whether two audits measured the same, and what is said before anything runs where they did not."""

from __future__ import annotations

import pytest

from llmaudit.gate import Asked, Gate, differences, refusal
from llmaudit.gate.likeness import counts_tokens, same_tokenizer
from llmaudit.records import AuditRecord, EstimateRecord, ScorerRecord
from llmaudit.types import ModelInfo
from tests.unit.gate.runs import audit, estimate, run


def _designed(**design: str) -> AuditRecord:
    return audit(estimate("m", [1.0, 2.0]), design=design)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"samples": "4"}, {"samples": "4"}, ()),
        ({"samples": "4"}, {"samples": "8"}, ("samples 4 there, 8 here",)),
        ({"templates": "sha256:aa"}, {"templates": "sha256:bb"}, ("other templates",)),
        ({"sampling": '{"temperature": 1}'}, {"sampling": '{"temperature": 2}'}, ("other sampling",)),
        ({"mode": '"plain"'}, {"mode": '"chat"'}, ("mode plain there, chat here",)),
        # A parameter that only one of them knows, and that is not given, is no difference.
        ({"a": "1"}, {"b": "null"}, ("a 1 there, none here",)),
        # The file of the baseline may be damaged, or hold what a terminal would obey.
        ({"a": "\x1b[2J"}, {"a": "1"}, ("a ?[2J there, 1 here",)),
    ],
)
def test_what_differs_is_named(before: dict[str, str], after: dict[str, str], said: tuple[str, ...]) -> None:
    assert differences(_designed(**before), _designed(**after)) == said


def test_another_kind_scorer_or_an_older_record_is_told() -> None:
    assert differences(audit(), audit(kind="pairs")) == ("kind bias there, pairs here",)
    newer = audit(scorers=(ScorerRecord("length", "2", "", "words"),))
    assert differences(audit(), newer) == ("scorer length 1 there, 2 here",)
    assert "older llmaudit" in differences(audit(design={}), audit())[0]


@pytest.mark.parametrize(
    ("metric", "unit", "counted"),
    [
        ("tokens", "tokens", True),
        ("cost", "nats per token", True),
        ("log_perplexity", "nats/token", True),
        ("perplexity", "perplexity", True),
        ("word_perplexity", "perplexity", False),
        ("fertility", "tokens per word", False),
        ("term_cost", "tokens per term", False),
        ("bits_per_byte", "bits", False),
        ("refusal_gap", "proportion", False),
    ],
)
def test_which_metrics_another_tokenizer_changes_by_itself(metric: str, unit: str, counted: bool) -> None:
    assert counts_tokens(EstimateRecord.of(estimate(metric, [1.0, 2.0], unit=unit))) is counted


def test_which_tokenizers_are_the_same() -> None:
    def model(name: str = "m", tokenizer: str | None = None, size: int | None = None) -> ModelInfo:
        facts = {} if size is None else {"vocabulary_size": size}
        return ModelInfo(name, name, "fake", tokenizer=tokenizer, facts=facts)

    assert same_tokenizer(model("a", "xx"), model("b", "xx"))
    assert not same_tokenizer(model("a", "xx"), model("a", "yy"))
    assert not same_tokenizer(model("a", "xx"), model("a"))
    assert same_tokenizer(model("a", size=9), model("b", size=9))
    assert not same_tokenizer(model("a", size=9), model("b", size=8))
    assert same_tokenizer(model("a"), model("a"))
    assert not same_tokenizer(model("a"), model("b"))
    assert not same_tokenizer(None, model())


def test_a_refusal_names_what_differs_and_what_can_still_be_compared() -> None:
    same, other = audit(id="s/same", audit="same"), audit(id="s/other", audit="other")
    changed = audit(id="s/other", audit="other", design={"samples": "8", "templates": "sha256:00"})
    gate = Gate(run(same, other), "--baseline x", 0)
    text = refusal(gate, [Asked(same, ("m", "n")), Asked(changed, ("m",))])
    assert text is not None
    assert text.splitlines() == [
        "--baseline x: not the same measurement as this run:",
        "  s/other: samples 4 there, 8 here",
        "These can still be compared: same::m, same::n.",
        "Add --allow-unlike to compare what is comparable, or accept a new baseline with --baseline-update.",
    ]
    assert refusal(Gate(run(same, other), "x", 0, allow_unlike=True), [Asked(changed, ("m",))]) is None


def test_an_audit_without_a_margin_may_be_unlike() -> None:
    changed = audit(design={})
    assert refusal(Gate(run(audit()), "x", 0), [Asked(changed, ())]) is None


def test_a_new_audit_is_told_of_and_other_suites_are_refused_whatever_is_allowed() -> None:
    new = audit(id="s/new", audit="new")
    assert "s/new: the baseline has no such audit" in str(refusal(Gate(run(audit()), "x", 0), [Asked(new, ("m",))]))
    stranger = Gate(run(audit(suite="t", id="t/a")), "x", 0, allow_unlike=True)
    assert refusal(stranger, [Asked(audit(), ("m",))]) == "x: a run of other suites (t); this one is of s"
