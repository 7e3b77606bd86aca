from __future__ import annotations

from collections.abc import Callable

import pytest

from llmaudit.suite import Suite

Load = Callable[..., Suite]
Refuse = Callable[..., list[str]]


def hashes(suite: Suite) -> dict[str, str]:
    return {f"{entry.name}.{check.metric}": check.content_hash for entry in suite.audits for check in entry.checks}


def changed(before: Suite, after: Suite) -> set[str]:
    old, new = hashes(before), hashes(after)
    return {name for name in old if old[name] != new[name]}


def test_an_audit_is_ready_to_run(load: Load, good: str) -> None:
    gender, depth = load(good).audits
    assert gender.name == "gender"
    assert gender.place == (4, 3)
    assert type(gender.audit).__name__ == "FakeAudit"
    assert gender.audit.seed == 7
    assert list(gender.audit.scorers) == ["length"]
    assert gender.audit.question == "Does the fake differ between groups?"
    assert [(check.metric, check.place, check.params.max) for check in gender.checks] == [
        ("length_gap", (14, 7), 3),
        ("length_gap.women-men", (15, 7), 2),
    ]
    assert depth.audit.params.depth == 3


def test_samples_for_a_whole_session(load: Load, refuse: Refuse, good: str) -> None:
    gender, depth = load(good, samples=2).audits
    assert gender.audit.params.samples == 2
    assert "samples" not in type(depth.audit.params).model_fields
    assert refuse(good, samples=1) == [
        "5:5: audits.gender: with samples set to 1: expected a number of at least 2, got 1"
    ]


def test_samples_for_a_whole_session_may_be_wasteful(load: Load, good: str) -> None:
    greedy = good.replace("samples: 4", "samples: 2\n    greedy: true")
    assert load(greedy, samples=5).audits[0].audit.params.samples == 5


def test_a_hash_covers_what_the_verdict_depends_on(load: Load, good: str) -> None:
    before = load(good)
    both = {"gender.length_gap", "gender.length_gap.women-men"}
    assert len(set(hashes(before).values())) == 3
    assert all(len(digest) == 64 for digest in hashes(before).values())
    assert changed(before, load(good.replace("I saw {group}", "We saw {group}"))) == both
    assert changed(before, load(good, samples=9)) == both
    assert changed(before, load(good.replace("max: 3", "max: 3.5"))) == {"gender.length_gap"}
    assert changed(before, load(good.replace("max: 3", "max: 3, margin: 1"))) == {"gender.length_gap"}


def test_a_hash_leaves_out_what_is_only_said(load: Load, good: str) -> None:
    waived = good.replace("max: 3, why: a convention", "max: 3.0, xfail: {reason: known, expires: 2099-01-01}")
    asked = good.replace("    kind: fake", "    skip: {reason: slow}\n    question: Why?\n    kind: fake")
    spelt_out = good.replace("depth: 3\n", "depth: 3 # as before\n    xfail:\n")
    assert [changed(load(good), load(text)) for text in (waived, asked, spelt_out)] == [set(), set(), set()]


def test_an_unknown_kind(refuse: Refuse, good: str) -> None:
    assert refuse(good.replace("kind: fake", "kind: fkae").replace("max: 3", "max: lots")) == [
        "5:11: audits.gender.kind: unknown kind 'fkae'; did you mean 'fake'? (known: fake, other)",
        "14:25: audits.gender.checks.length_gap.max: expected a number, got 'lots'",
    ]


def test_no_kind(refuse: Refuse, good: str) -> None:
    assert refuse(good.replace("    kind: other\n", "")) == [
        "18:5: audits.depth: missing key 'kind' (known kinds: fake, other)"
    ]
    assert refuse(good.replace("kind: other", "kind: [other]")) == [
        "18:11: audits.depth.kind: expected a string, got a list"
    ]


@pytest.mark.parametrize(
    ("checks", "problem"),
    [
        ("checks: {}", "20:13: audits.depth.checks: needs at least one check"),
        ("checks:", "20:12: audits.depth.checks: needs at least one check"),
        ("", "18:5: audits.depth: missing key 'checks': needs at least one check"),
        ("checks: [depth]", "20:13: audits.depth.checks: expected a mapping, got a list"),
    ],
)
def test_no_checks(refuse: Refuse, good: str, checks: str, problem: str) -> None:
    text = good.replace("checks:\n      depth: {role: exploratory}", checks)
    assert refuse(text) == [problem]


def test_a_metric_that_the_audit_does_not_have(refuse: Refuse, good: str) -> None:
    known = "(known: length_gap, refusal_gap, premium.deu_Latn)"
    assert refuse(good.replace("length_gap:", "lenght_gap:")) == [
        f"14:7: audits.gender.checks.lenght_gap: unknown metric 'lenght_gap'; did you mean 'length_gap'? {known}"
    ]
    assert refuse(good.replace("gap.women-men", "gap.woman-man")) == [
        "15:7: audits.gender.checks.length_gap.woman-man: unknown metric 'length_gap.woman-man'; "
        "did you mean 'length_gap.women-men'? (known: length_gap, length_gap.women-men)"
    ]


def test_metrics_are_compared_though_a_limit_is_wrong(refuse: Refuse, good: str) -> None:
    text = good.replace("length_gap: {max: 3", "lenght_gap: {max: lots")
    assert [problem.split(": ")[0] for problem in refuse(text)] == ["14:7", "14:25"]


def test_an_expired_waiver(refuse: Refuse, load: Load, good: str) -> None:
    on_check = good.replace("max: 3,", "max: 3, xfail: {reason: known, expires: 2026-11-01},")
    words = "the waiver expired on 2026-11-01; renew it with a reason, or remove it"
    assert refuse(on_check) == [f"14:60: audits.gender.checks.length_gap.xfail.expires: {words}"]
    assert load(on_check.replace("11-01", "11-02")).audits[0].checks[0].params.xfail is not None
    on_audit = good.replace("depth: 3\n", "depth: 3\n    xfail: {reason: '', expires: '2026-11-01'}\n")
    assert refuse(on_audit) == [
        "20:21: audits.depth.xfail.reason: expected at least one character, got ''",
        f"20:34: audits.depth.xfail.expires: {words}",
    ]


def test_a_kind_speaks_for_itself(refuse: Refuse, good: str) -> None:
    assert refuse(good.replace("samples: 4", "samples: 4\n    scorers: [lenght]")) == [
        "13:14: audits.gender.scorers: no such scorer: lenght"
    ]
    assert refuse(good.replace("samples: 4", "greedy: true")) == [
        "5:5: audits.gender: greedy answers are all the same: two samples will do"
    ]
    assert refuse(good.replace("women: {", "forbidden: {")) == [
        "4:3: audits.gender: the group 'forbidden' has no metrics"
    ]


def test_a_defect_of_a_kind_is_no_mistake_of_the_suite(load: Load, good: str) -> None:
    with pytest.raises(RuntimeError, match="a defect of the kind"):
        load(good.replace("women: {", "broken: {"))


def test_an_audit_that_is_no_mapping(refuse: Refuse, good: str) -> None:
    assert refuse(good + "  third: 3\n") == ["22:10: audits.third: expected a mapping, got 3"]
    assert refuse(good + "  third: !!set {}\n") == [
        "22:10: audits.third: tags such as '!!set' are refused; quote a text, write a number bare"
    ]
