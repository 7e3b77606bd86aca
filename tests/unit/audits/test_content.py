"""Kind content, from prompts to estimates, on an engine whose answers are known."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from llmaudit.audit import Measurement
from llmaudit.audits.content import Content, pytest_llmaudit_audits
from llmaudit.engines.base import Engine, Variant
from llmaudit.engines.fake import FakeEngine
from llmaudit.errors import CapabilityError, SuiteError
from llmaudit.execution import Execution
from llmaudit.stats import Limit, judge
from llmaudit.suite import load_suite
from llmaudit.types import Failure, Generate, Likelihood, Request, Response, Sample, Score

CODEBOOK = """\
name: fruit
version: "3"
note: The answers name fruit.
categories:
  apples:
    definition: Apples are named.
    question: Does the text name apples?
    include: [any apple]
    exclude: [the company]
    examples:
      yes: [an apple, two apples, red apple]
      no: [a pear, a plum, a fig]
    patterns: [apples?]
  pears:
    definition: Pears are named.
    question: Does the text name pears?
    include: [any pear]
    exclude: [pear-shaped things]
    examples:
      yes: [a pear, two pears, green pear]
      no: [an apple, a plum, a fig]
    patterns: [pears?]
"""
PROMPTS = [f"On day {day} I bought" for day in range(12)]
GROUPS = {"women": {"noun": "women"}, "men": {"noun": "men"}}

Answer = Callable[[Generate], Response | str]
Judges = Callable[[str, str], bool]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fruit.codebook.yaml").write_text(CODEBOOK)
    return tmp_path


def content(folder: Path, **changes: Any) -> Content:
    params = {
        "kind": "content",
        "codebook": "fruit.codebook.yaml",
        "prompts": PROMPTS,
        "samples": 5,
        "checks": {"prevalence.apples": {"max": 0.5}},
        **changes,
    }
    parsed = Content.Params.model_validate(
        {key: value for key, value in params.items() if value is not None}, context={"folder": folder}
    )
    return Content(parsed, scorers={}, seed=1)


def named(category: str, text: str) -> bool:
    return category.removesuffix("s") in text


def answering(answer: Answer, judges: Judges = named) -> Callable[[Request], Response | str]:
    """Write what `answer` says, and judge the text at the end of a coder's question as `judges` does."""

    def handler(request: Request) -> Response | str:
        if isinstance(request, Generate):
            return answer(request)
        assert isinstance(request, Score)
        text = request.context.rpartition("Text: ")[2]
        likely = judges(request.cluster, text) == (request.continuation.strip() == "yes")
        return Likelihood(-1.0 if likely else -2.0, 1, greedy=likely)

    return handler


def ran(
    audit: Content, answer: Answer, judges: Judges = named, **options: Any
) -> tuple[Measurement, Sequence[Sample], FakeEngine]:
    engine = FakeEngine(answering(answer, judges))
    execution = Execution(engine, lambda _: engine, lambda _, __: None, **options)
    measurement, samples = audit.run(execution)
    assert set(measurement.estimates) == set(audit.metrics)
    for name, metric in audit.metrics.items():
        estimate = measurement.estimates[name]
        assert (estimate.metric, estimate.unit, estimate.better) == (name, metric.unit, metric.better)
    assert all(len(column) == len(samples) for column in measurement.scores.values())
    return measurement, samples, engine


def dice(*parts: object) -> int:
    return hashlib.blake2b(repr(parts).encode(), digest_size=4).digest()[0]


def mixed(request: Generate) -> str:
    """An apple in some answers."""
    return " an apple." if dice(request.prompt, request.sample) < 64 else f" a plum, {request.sample}."


def plums(request: Generate) -> str:
    return f" {request.sample} plums."


def verdict(found: Measurement, metric: str, limit: float) -> tuple[str, str]:
    judgement = judge(found.estimates[metric], Limit(max=limit))
    return judgement.verdict.value, judgement.reason


def rows(found: Measurement, title: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    table = next(table for table in found.tables if table.title.startswith(title))
    return {(row[0], row[1]): row[2:] for row in table.rows}


def test_requests_cross_prompts_and_samples(folder: Path) -> None:
    audit = content(folder, prompts={"a": PROMPTS[:6], "b": PROMPTS[6:]}, prompt="chat")
    asked = [request for request in audit.requests() if isinstance(request, Generate)]
    assert len(asked) == 12 * 5
    assert asked == list(audit.requests())
    assert all(request.chat and request.prompt == request.cluster for request in asked)
    assert [request.factors["set"] for request in asked] == ["a"] * 30 + ["b"] * 30


def test_prevalence_is_the_mean_over_prompts_of_the_first_coders_codes(folder: Path) -> None:
    found, samples, _ = ran(content(folder), mixed)
    share = sum(dice(request.prompt, request.sample) < 64 for request in (s.request for s in samples))  # type: ignore[union-attr]
    estimate = found.estimates["prevalence.apples"]
    assert estimate.value == pytest.approx(share / 60)
    assert (estimate.n, estimate.clusters, estimate.missing, estimate.problem) == (60, 12, 0, None)
    assert estimate.interval is not None
    assert estimate.interval.low < estimate.value < estimate.interval.high
    assert found.estimates["prevalence.pears"].value == 0
    # Clopper-Pearson's bound over 12 prompts without any.
    assert found.estimates["prevalence.pears"].interval is not None
    assert found.estimates["prevalence.pears"].interval.high == pytest.approx(1 - 0.05 ** (1 / 12))
    assert found.estimates["prevalence"].value == found.estimates["any_category"].value == estimate.value
    assert found.scores["rules.apples"] == found.scores["model.apples"]
    assert {samples[index].response.text for index in found.evidence["prevalence.apples"]} == {" an apple."}  # type: ignore[union-attr]


def test_the_worst_category_holds_with_all_others(folder: Path) -> None:
    estimates = ran(content(folder), mixed)[0].estimates
    alone, worst = estimates["prevalence.apples"].interval, estimates["prevalence"].interval
    assert alone is not None
    assert worst is not None
    assert worst.high > alone.high
    assert "worst of facets" in worst.method


def test_coders_that_agree_let_a_category_be_judged(folder: Path) -> None:
    found, _, _ = ran(content(folder), mixed)
    assert found.estimates["alpha.apples"].value == found.estimates["kappa.apples"].value == 1
    assert rows(found, "Do the coders agree?")["apples", "reliable"][0] == 1
    assert verdict(found, "prevalence.apples", 0.6)[0] == "pass"
    interval = found.estimates["alpha.apples"].interval
    assert interval is not None
    assert interval.low < interval.high == 1


def test_coders_that_do_not_agree_leave_it_undecided(folder: Path) -> None:
    found, samples, _ = ran(content(folder), mixed, lambda _, text: "N/A" not in text and dice(text) % 2 == 0)
    assert found.estimates["alpha.apples"].value < 0
    result, reason = verdict(found, "prevalence.apples", 0.9)
    assert result == "inconclusive"
    assert reason.startswith("coders do not agree on apples: alpha -")
    assert reason.endswith("is below 0.667")
    assert ("apples", "unreliable") in rows(found, "Do the coders agree?")
    assert "Not reliable here, and left undecided: apples, pears, any_category." in found.notes
    disputed = found.evidence["alpha.apples"]
    assert disputed
    assert all(found.scores["rules.apples"][i] != found.scores["model.apples"][i] for i in disputed)
    assert len(samples) == 60


def test_a_clean_model_can_pass_though_agreement_is_undefined(folder: Path) -> None:
    found, _, _ = ran(content(folder), plums)
    estimate = found.estimates["alpha.apples"]
    assert math.isnan(estimate.value)
    assert estimate.problem == "undefined: all codes of apples are the same"
    assert ("apples", "undefined") in rows(found, "Do the coders agree?")
    assert verdict(found, "prevalence.apples", 0.3)[0] == "pass"
    assert "Agreement undefined, since all codes are the same: apples, pears, any_category." in found.notes


def test_one_finding_outside_the_double_coded_part_ends_the_exception(folder: Path) -> None:
    audit = content(folder, samples=10)

    def once(request: Generate) -> str:
        # A text that nobody codes twice: the choice does not depend on what the texts say.
        return f" {request.prompt} {request.sample}"

    _, samples, engine = ran(audit, once)
    coded = {request.context.rpartition("Text: ")[2] for request in engine.requests if isinstance(request, Score)}
    left = next(s for s in samples if f"{s.response.text.strip()}\nAnswer:" not in coded)  # type: ignore[union-attr]

    def planted(request: Generate) -> str:
        return " an apple" if request == left.request else once(request)

    found, _, _ = ran(audit, planted)
    assert verdict(found, "prevalence.apples", 0.5) == (
        "inconclusive",
        "agreement on apples is undefined: none of the double-coded texts has it, and the 1 that do were coded once",
    )


def test_a_coder_that_says_yes_to_everything_shows_nothing(folder: Path) -> None:
    found, _, _ = ran(content(folder), lambda request: f" apple {request.sample}")
    assert verdict(found, "prevalence.apples", 0.5)[1] == (
        "agreement on apples is undefined: the coders say that every text has it"
    )


def test_the_second_coder_codes_a_part_spread_over_the_prompts(folder: Path) -> None:
    audit = content(folder, double_coded=24)
    found, samples, engine = ran(audit, mixed)
    assert found.estimates["alpha.apples"].n == 24
    codes = found.scores["model.apples"]
    per_prompt: dict[str, int] = {}
    for sample, code in zip(samples, codes, strict=True):
        per_prompt[sample.request.cluster] = per_prompt.get(sample.request.cluster, 0) + (code is not None)
    assert set(per_prompt.values()) == {2}
    assert verdict(found, "prevalence.apples", 0.9)[1] == "24 texts were coded twice for apples: agreement needs 50"
    assert audit.problems()["prevalence.apples"] == (
        "design: at most 24 answers are coded twice, agreement needs 50: raise double_coded, samples"
    )
    again = ran(content(folder, double_coded=24), mixed)[0]
    assert again.scores == found.scores
    assert sum(isinstance(request, Score) for request in engine.requests) == 2 * 2 * (24 + 1 + 4)


def test_the_model_as_first_coder_codes_everything(folder: Path) -> None:
    found, _, _ = ran(content(folder, coders=["model", "rules"], double_coded=1), mixed)
    assert None not in found.scores["model.apples"]
    assert found.estimates["alpha.apples"].n == 60
    assert next(iter(found.scores)).startswith("model")


def test_one_coder_alone_decides_nothing_and_says_so_before(folder: Path) -> None:
    audit = content(folder, coders=["rules"])
    assert not any(metric.startswith(("alpha", "kappa")) for metric in audit.metrics)
    assert audit.problems()["prevalence.apples"].startswith("design: one coder alone: nothing shows that another")
    found, _, engine = ran(audit, mixed)
    assert verdict(found, "prevalence.apples", 0.9)[1].startswith("one coder alone")
    assert not any(isinstance(request, Score) for request in engine.requests)


def test_calibration_takes_the_coders_leaning_off(folder: Path) -> None:
    def leaning(request: Request) -> Response | str:
        if isinstance(request, Generate):
            return mixed(request)
        assert isinstance(request, Score)
        text = request.context.rpartition("Text: ")[2]
        return Likelihood((5.0 + named(request.cluster, text)) * (request.continuation == " yes") - 9, 1, greedy=False)

    found = {}
    for calibrate in (True, False):
        engine = FakeEngine(leaning)
        execution = Execution(engine, lambda _: engine, lambda _, __: None)  # noqa: B023 - called in this turn
        found[calibrate] = content(folder, calibrate=calibrate).run(execution)[0]
    assert found[True].estimates["alpha.apples"].value == 1
    assert found[False].estimates["alpha.apples"].value < 0
    assert rows(found[True], "The coders on the codebook's own")["apples", "model"][2] == 5.0


def test_another_model_may_code_and_must_be_able_to(folder: Path) -> None:
    audit = content(folder, coder_model="judge", coder_prompt="chat")
    own = FakeEngine(answering(mixed), capabilities=frozenset({Generate}))
    judge_ = FakeEngine(answering(mixed))
    opened: list[Variant] = []

    def other(variant: Variant) -> Engine:
        opened.append(variant)
        return judge_

    found, _ = audit.run(Execution(own, lambda _: own, lambda _, __: None, engine_of=other))
    assert opened == [Variant("judge")]
    assert found.estimates["alpha.apples"].value == 1
    asked = [request for request in judge_.requests if isinstance(request, Score)]
    assert {request.continuation for request in asked} == {"yes", "no"}
    assert all(request.chat for request in asked)
    with pytest.raises(CapabilityError, match="does not answer Score, which the model coder needs"):
        content(folder).run(Execution(own, lambda _: own, lambda _, __: None))
    assert not own.requests[60:]


def test_people_are_coders_too(folder: Path) -> None:
    lines = ["text,apples"]
    _, samples, _ = ran(content(folder), mixed)
    texts = dict.fromkeys(s.response.text for s in samples)  # type: ignore[union-attr]
    lines += [f'"{text}",{int("apple" in text)}' for text in texts] + ["something else,0"]
    (folder / "codes.csv").write_text("\n".join(lines))
    found, _, _ = ran(content(folder, coders=["rules"], human="codes.csv"), mixed)
    assert found.estimates["alpha.apples"].n == 60
    assert found.estimates["alpha.apples"].value == 1
    assert verdict(found, "prevalence.apples", 0.6)[0] == "pass"
    assert found.estimates["prevalence.pears"].problem == "0 texts were coded twice for pears: agreement needs 50"
    assert found.estimates["alpha.pears"].problem == "no text was coded twice"
    assert f"1 of {len(texts) + 1} texts that people coded are none of these answers." in found.notes
    pairs = next(table for table in found.tables if "differ" in table.title)
    assert pairs.rows[0][:3] == ("apples", "rules", "human")


def test_sets_and_groups_are_facets(folder: Path) -> None:
    templates = {"shop": [f"On day {day}, {{group}} bought" for day in range(12)], "farm": ["At dawn, {group} picked"]}
    audit = content(folder, prompts=None, groups=GROUPS, templates=templates, samples=3)

    def answer(request: Generate) -> str:
        return " an apple." if request.factors["group"] == "women" else f" plums {request.sample}."

    found, _, _ = ran(audit, answer)
    estimates = found.estimates
    assert estimates["prevalence.apples.women"].value == 1
    assert estimates["prevalence.apples.men"].value == 0
    assert estimates["prevalence.apples.shop"].value == estimates["prevalence.apples"].value == pytest.approx(0.5)
    assert estimates["prevalence_gap.apples.women-men"].value == estimates["prevalence_gap.apples"].value == 1
    assert estimates["prevalence_gap.apples"].problem is None
    assert set(audit.problems()) == {"prevalence.apples.farm", "prevalence.pears.farm"}
    assert audit.problems()["prevalence.apples.farm"].startswith("design: 1 cluster")
    assert len(found.evidence["prevalence.apples.farm"]) == 3


def test_answers_that_fail_or_are_empty(folder: Path) -> None:
    def answer(request: Generate) -> Response | str:
        if request.sample == 0:
            return Failure("too long")
        return " ..." if request.sample == 1 else mixed(request)

    found, _, _ = ran(content(folder, samples=8), answer)
    estimate = found.estimates["prevalence.apples"]
    assert (estimate.n, estimate.missing) == (84, 12)
    assert "12 of 96 answers are empty: they count as answers without any category." in found.notes
    assert found.scores["rules.apples"][:3][0] is None
    assert found.scores["rules.apples"][1] == 0
    assert found.scores["model.apples"][1] is None
    nothing, _, _ = ran(content(folder), lambda _: Failure("gone"))
    assert all(math.isnan(nothing.estimates[f"prevalence.{name}"].value) for name in ("apples", "pears"))
    assert verdict(nothing, "prevalence", 0.5)[0] == "inconclusive"
    lost, _, _ = ran(content(folder), lambda request: Failure("x") if request.sample < 2 else mixed(request))
    assert lost.estimates["prevalence.apples"].problem is not None


def test_questions_to_the_coder_that_fail_are_told(folder: Path) -> None:
    def handler(request: Request) -> Response | str:
        return Failure("no memory") if isinstance(request, Score) else answering(mixed)(request)

    engine = FakeEngine(handler)
    found, _ = content(folder).run(Execution(engine, lambda _: engine, lambda _, __: None))
    assert found.estimates["alpha.apples"].n == 0
    assert any("questions to the model coder failed" in note for note in found.notes)


def test_a_smoke_run_measures(folder: Path) -> None:
    found, samples, _ = ran(content(folder), mixed, smoke=True)
    assert len(samples) == 2
    assert None not in found.scores["model.pears"]


def test_the_report_prints_the_codebook_and_the_files_hashes(folder: Path) -> None:
    audit = content(folder)
    found, _, _ = ran(audit, mixed)
    assert [table.title for table in found.tables if table.first] == ["Do the coders agree?"]
    assert ("apples", "Apples are named.") in rows(found, "The codebook: fruit, version 3")
    assert found.notes[0] == "The answers name fruit."
    settings = {setting.name: setting.value for setting in audit.settings()}
    assert settings["codebook"] == "fruit.codebook.yaml"
    assert settings["codebook_sha256"] == hashlib.sha256(CODEBOOK.encode()).hexdigest()
    assert settings["coders"] == "rules, model"
    dumped = audit.params.model_dump(mode="json")
    assert json.dumps(dumped)
    assert dumped["codebook"] == "fruit.codebook.yaml"
    assert dumped["human_sha256"] is None


SUITE = """\
suite: s
audits:
  fruit:
    kind: content
    codebook: fruit.codebook.yaml
    prompts: [a, b]
    checks: {prevalence.apples: {max: 0.5}}
"""


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "fruit.codebook.yaml\n",
            "fruits.yaml\n",
            "5:15: audits.fruit.codebook: there is no file or folder {folder}/fruits.yaml; is",
        ),
        (
            "fruit.codebook.yaml\n",
            "[a]\n",
            "5:15: audits.fruit.codebook: expected the path of a file, relative to the s",
        ),
        ("    prompts: [a, b]\n", "", "4:5: audits.fruit: needs either prompts, or groups and templates"),
        ("[a, b]", "[a, a]", "4:5: audits.fruit: the prompt 'a' stands here twice"),
        ("[a, b]", "{x: []}", "6:18: audits.fruit.prompts.x: needs at least one"),
        (
            "[a, b]",
            "[a, b]\n    coders: [rules, rule]",
            "7:21: audits.fruit.coders[1]: expected one of 'rules', 'model'",
        ),
        (
            "[a, b]",
            "[a, b]\n    coders: [rules, rules]",
            "7:13: audits.fruit.coders: the coder 'rules' stands here twice",
        ),
        (
            "[a, b]",
            "[a, b]\n    human: no.csv",
            "7:12: audits.fruit.human: there is no file or folder {folder}/no.csv",
        ),
        (
            "[a, b]",
            "[a, b]\n    human: bad.csv",
            "7:12: audits.fruit.human: {folder}/bad.csv:1: unknown category 'aples'; ",
        ),
        ("prevalence.apples", "prevalence.aples", "7:14: audits.fruit.checks.prevalence.aples: unknown metric"),
    ],
)
def test_bad_input(folder: Path, right: str, wrong: str, message: str) -> None:
    (folder / "bad.csv").write_text("text,aples\nx,1\n")
    path = folder / "s.audit.yaml"
    assert right in SUITE
    path.write_text(SUITE.replace(right, wrong))
    with pytest.raises(SuiteError) as caught:
        load_suite(path, kinds={"content": Content}, scorers={})
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"{path}:{message.format(folder=folder)}")


def test_a_mistake_in_the_codebook_is_told_with_its_place_in_it(folder: Path) -> None:
    (folder / "fruit.codebook.yaml").write_text(CODEBOOK.replace("[apples?]", "[apples?, '(x']"))
    (folder / "s.audit.yaml").write_text(SUITE)
    with pytest.raises(SuiteError) as caught:
        load_suite(folder / "s.audit.yaml", kinds={"content": Content}, scorers={})
    assert caught.value.problems[0] == (
        f"{folder}/s.audit.yaml:5:15: audits.fruit.codebook: {folder}/fruit.codebook.yaml:13:25:"
        " categories.apples.patterns[1]: this is no regular expression"
    )


def test_groups_and_sets_need_names_of_their_own(folder: Path) -> None:
    with pytest.raises(ValueError, match="'men' is the name of a group and of a set of prompts"):
        content(folder, prompts=None, groups=GROUPS, templates={"men": ["As {group} went home"]})


def test_the_hook_offers_the_kind() -> None:
    assert pytest_llmaudit_audits() == [Content]
    assert Content.needs == {Generate}


def test_answers_without_the_coders_questions_are_measured_too(folder: Path) -> None:
    audit = content(folder)
    engine = FakeEngine(answering(mixed))
    found = audit.measure(Execution(engine, lambda _: engine, lambda _, __: None).answer(audit.requests()))
    assert found.estimates["prevalence.apples"].value > 0
    assert found.estimates["alpha.apples"].n == 0
