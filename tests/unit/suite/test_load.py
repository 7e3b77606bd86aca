from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmaudit.audit import Audit
from llmaudit.errors import SuiteError
from llmaudit.suite import Suite, load_suite
from llmaudit.suite.waivers import utc_today

Load = Callable[..., Suite]
Refuse = Callable[..., list[str]]
Kinds = dict[str, type[Audit[Any]]]


def test_a_suite(tmp_path: Path, kinds: Kinds, good: str) -> None:
    path = tmp_path / "demo.audit.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + good.encode())
    suite = load_suite(path, kinds=kinds, scorers={"length": object()})  # type: ignore[dict-item]
    assert suite.name == "a good one"
    assert suite.description == "It asks little."
    assert suite.path == path
    assert suite.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [entry.name for entry in suite.audits] == ["gender", "depth"]
    assert [entry.audit.seed for entry in suite.audits] == [0, 0]


def test_paths_are_shown_as_given(tmp_path: Path, kinds: Kinds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("suites").mkdir()
    Path("suites/a.yaml").write_text("suite: x\naudits: 3\n")
    with pytest.raises(SuiteError, match=r"^suites/a\.yaml:2:9: audits: expected a mapping, got 3$"):
        load_suite(Path("suites/a.yaml"), kinds=kinds, scorers={})
    with pytest.raises(SuiteError, match=r"^suites/b\.yaml:1:1: cannot be read: No such file or directory$"):
        load_suite(Path("suites/b.yaml"), kinds=kinds, scorers={})
    Path("suites/a.yaml").write_bytes(b"suite: \xff\n")
    with pytest.raises(SuiteError, match=r"^suites/a\.yaml:1:8: the byte 0xff is not UTF-8 text"):
        load_suite(Path("suites/a.yaml"), kinds=kinds, scorers={})


def test_a_waiver_runs_out_today(tmp_path: Path, kinds: Kinds, good: str) -> None:
    path = tmp_path / "a.yaml"
    text = good.replace("max: 3,", f"max: 3, xfail: {{reason: known, expires: {utc_today()}}},")
    path.write_text(text)
    with pytest.raises(SuiteError, match="the waiver expired on"):
        load_suite(path, kinds=kinds, scorers={"length": object()})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("- a", ["1:1: expected a mapping, got a list"]),
        ("audits: {}", ["1:1: missing key 'suite'", "1:9: audits: needs at least one audit"]),
        ("suite: x\naudits:", ["2:8: audits: needs at least one audit"]),
        ("suite: x", ["1:1: missing key 'audits': needs at least one audit"]),
        (
            "suite: ''\naudits: []",
            ["1:8: suite: expected at least one character, got ''", "2:9: audits: expected a mapping, got a list"],
        ),
        ("suite: [x", ["2:1: expected ',' or ']' to go on with the list opened on line 1"]),
    ],
)
def test_the_head_of_a_suite(refuse: Refuse, text: str, problems: list[str]) -> None:
    assert refuse(text + "\n") == problems


def test_every_mistake_of_a_file_is_told_at_once(refuse: Refuse) -> None:
    text = """\
    suite: 2027
    descripton: x
    audits:
      a b:
        kind: other
        depth: deep
        checks: {depth: {max: 1}}
      gender:
        kind: fake
        templats: [a]
        groups:
          women: {noun: women, numer: plural}
          no: {noun: 3}
        samples: 1
        checks:
          length_gap: {max: lots, margin: 0, role: explore}
          refusal_gap:
          length gap: {max: 1}
        skip: yes
      gender: {}
      depth:
        kind: other
        depth: !!int "3"
        checks: {dept: {max: 1, min: 2}}
    """
    assert refuse(text) == [
        "1:8: suite: expected a string, got 2027; put it in quotes",
        "2:1: unknown key 'descripton'; did you mean 'description'?"
        " (known: suite, description, margins, looks, audits)",
        "4:3: audits.'a b': bad name 'a b'; a name is made of letters, digits, '_', '.' and '-'",
        "6:12: audits.'a b'.depth: expected an integer, got 'deep'",
        "10:5: audits.gender: unknown key 'templats'; did you mean 'templates'? "
        "(known: kind, question, checks, skip, xfail, variants, templates, groups, samples, greedy, scorers)",
        "12:28: audits.gender.groups.women: unknown key 'numer'; did you mean 'number'? (known: noun, number)",
        "13:18: audits.gender.groups.no.noun: expected a string, got 3; put it in quotes",
        "14:14: audits.gender.samples: expected a number of at least 2, got 1",
        "16:25: audits.gender.checks.length_gap.max: expected a number, got 'lots'",
        "16:39: audits.gender.checks.length_gap.margin: expected a number greater than 0, got 0",
        "16:48: audits.gender.checks.length_gap.role: expected one of 'confirmatory', 'exploratory', got 'explore'; "
        "did you mean 'exploratory'?",
        "17:19: audits.gender.checks.refusal_gap: expected a mapping, got nothing",
        "18:7: audits.gender.checks.'length gap': bad name 'length gap'; "
        "a name is made of letters, digits, '_', '.' and '-'",
        "19:11: audits.gender.skip: expected a mapping, got 'yes'",
        "20:3: audits.gender: duplicate key; it stands on line 8, column 3 already",
        "23:12: audits.depth.depth: tags such as '!!int' are refused; quote a text, write a number bare",
        "24:20: audits.depth.checks.dept: min 2 is above max 1: nothing could pass",
    ]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("2026-01-01"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_change_of_a_good_suite_is_loaded_or_refused(load: Load, good: str, data: st.DataObject) -> None:
    content = yaml.safe_load(good)
    for _ in range(data.draw(st.integers(1, 3))):
        spot = content
        while True:
            step = data.draw(st.sampled_from(list(spot) if isinstance(spot, dict) else list(range(len(spot)))))
            if not isinstance(spot[step], dict | list) or not spot[step] or data.draw(st.booleans()):
                break
            spot = spot[step]
        if isinstance(spot, dict) and data.draw(st.booleans()):
            spot[data.draw(st.text(max_size=5))] = spot.pop(step)
        else:
            spot[step] = data.draw(PLAIN)
    with contextlib.suppress(SuiteError):
        load(yaml.safe_dump(content, allow_unicode=False))
