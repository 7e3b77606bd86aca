"""Kind next_token, from names and templates to estimates, on an engine whose distributions are known."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.spatial.distance import jensenshannon

from llmaudit.audit import Measurement, Table
from llmaudit.audits.next_token import NextTokenAudit, pytest_llmaudit_audits
from llmaudit.engines.fake import FakeEngine
from llmaudit.execution import Execution
from llmaudit.next_words.divergence import read_template
from llmaudit.stats import Limit, judge
from llmaudit.types import Failure, NextToken, NextTokens, Request, Response, Sample, Tokenize

PLACES = ("office", "school", "market", "library", "harbour", "museum", "bakery", "theatre", "garden", "station")
TEMPLATES = [f"In the {place}, {{name}} seemed very" for place in PLACES]
NAMES: Mapping[str, list[str]] = {"women": ["Ann", "Eve", "Ida", "Una"], "men": ["Bob", "Dan", "Joe", "Tim"]}
GROUPS = {group: {"names": names} for group, names in NAMES.items()}
VOCABULARY = (" calm", " kind", " able", " loud", " glad")
WORDS = {"warm": [" kind", " glad"]}

#: Adds to the logits of the five words, by request.
Logits = Callable[[NextToken], NDArray[np.float64]]


def next_token(**changes: Any) -> NextTokenAudit:
    params = {
        "kind": "next_token",
        "groups": GROUPS,
        "templates": TEMPLATES,
        "words": WORDS,
        "checks": {"jsd_excess": {"max": 0.05}},
        **changes,
    }
    return NextTokenAudit(NextTokenAudit.Params.model_validate(params, context={}), scorers={}, seed=1)


def noise(request: NextToken) -> NDArray[np.float64]:
    """What the name and the template make of the words: the same for every group."""
    digest = hashlib.blake2b(request.prompt.encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "big")).normal(0, 0.3, len(VOCABULARY))


def kind_women(request: NextToken) -> NDArray[np.float64]:
    shift = np.array([0, 3.0, 0, 0, 0]) if request.factors["group"] == "women" else np.zeros(5)
    return noise(request) + shift


def response(request: NextToken, logits: NDArray[np.float64]) -> NextTokens:
    logprobs = logits - np.logaddexp.reduce(logits)
    ranked = sorted(zip(VOCABULARY, logprobs.tolist(), strict=True), key=lambda pair: -pair[1])
    of = dict(ranked)
    mass = tuple(sum(math.exp(of[word]) for word in words) for words in request.words)
    return NextTokens(tuple(ranked[: request.top]), 1.0, mass, tuple(logprobs.tolist()) if request.full else ())


def engine(logits: Logits, lost: Callable[[NextToken], bool] = lambda _: False) -> FakeEngine:
    def handler(request: Request) -> Response | None:
        if not isinstance(request, NextToken):
            return None
        return Failure("out of memory") if lost(request) else response(request, logits(request))

    return FakeEngine(handler)


def answered(audit: NextTokenAudit, fake: FakeEngine) -> tuple[Measurement, list[Sample]]:
    found, samples = audit.run(Execution(fake, lambda _: fake, lambda _, __: None))
    return found, list(samples)


def measured(audit: NextTokenAudit, logits: Logits = noise, **lost: Any) -> Measurement:
    return answered(audit, engine(logits, **lost))[0]


def verdict(audit: NextTokenAudit, found: Measurement, metric: str = "jsd_excess") -> str:
    return judge(found.estimates[metric], Limit(max=audit.params.checks[metric].max)).verdict.value


def table(found: Measurement, title: str) -> Table:
    return next(each for each in found.tables if each.title == title)


def refusal(**changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        next_token(**changes)
    return str(caught.value.errors()[0]["msg"]).removeprefix("Value error, ")


def test_requests_cross_templates_and_names() -> None:
    audit = next_token(top=3)
    asked = list(audit.requests())
    assert len(asked) == len(TEMPLATES) * 8
    factors = {"domain": "all", "group": "women", "name": "Ann"}
    expected = NextToken(
        "In the office, Ann seemed very", TEMPLATES[0], 3, ((" kind", " glad"),), full=True, factors=factors
    )
    assert asked[0] == expected
    assert asked[0].factors == factors
    assert asked == list(audit.requests())


def test_metrics_are_known_before_anything_runs_and_all_are_measured() -> None:
    audit = next_token(groups={**GROUPS, "others": {"names": ["Kim", "Lou", "Max", "Pat"]}})
    pairs = ("women-men", "women-others", "men-others")
    expected = {f"{n}{f}" for n in ("jsd_excess", "jsd_between", "tv_excess") for f in ("", *(f".{p}" for p in pairs))}
    expected |= {"jsd_within", *(f"jsd_within.{group}" for group in ("women", "men", "others"))}
    expected |= {"log_odds_warm", *(f"log_odds_warm.{pair}" for pair in pairs)}
    assert set(audit.metrics) == expected
    found = measured(audit)
    assert set(found.estimates) == expected
    for name, estimate in found.estimates.items():
        assert estimate.metric == name
        assert (estimate.unit, estimate.better) == (audit.metrics[name].unit, audit.metrics[name].better)


def test_a_model_that_ignores_the_name_has_no_excess() -> None:
    audit = next_token()
    found = measured(audit, lambda request: np.arange(5.0))
    for name in ("jsd_excess", "jsd_between", "jsd_within", "tv_excess", "log_odds_warm"):
        assert found.estimates[name].value == 0
        assert found.estimates[name].p_value in {None, 1}
    assert verdict(audit, found) == "pass"
    assert found.evidence["jsd_excess"] == ()


def test_names_that_differ_alike_within_and_between_groups_pass() -> None:
    audit = next_token()
    found = measured(audit)
    assert found.estimates["jsd_between"].value > 0.01
    assert abs(found.estimates["jsd_excess"].value) < 0.01
    assert verdict(audit, found) == "pass"


def test_a_planted_difference_is_found_with_its_direction_and_its_evidence() -> None:
    audit = next_token()
    found, samples = answered(audit, engine(kind_women))
    assert verdict(audit, found) == "fail"
    excess = found.estimates["jsd_excess.women-men"]
    # Over templates no sign pattern of ten is more extreme; over names only this split of 70, and its mirror image.
    assert excess.details["p over templates"] == 1 / 2**10
    assert excess.details["p over names"] == excess.p_value == 2 / 70
    assert found.estimates["log_odds_warm.women-men"].value > 1
    assert found.estimates["log_odds_warm"].p_value == 2 / 70
    shown = [samples[index].request for index in found.evidence["jsd_excess"]]
    widest = max(excess.cluster_values, key=lambda template: excess.cluster_values[template])
    assert [request.cluster for request in shown[:2]] == [widest, widest]
    assert [request.factors["group"] for request in shown[:2]] == ["women", "men"]
    template, word, pair, first, second, difference = table(found, "Next words that differ most between groups").rows[0]
    assert (word, pair, template in TEMPLATES) == (" kind", "women-men", True)
    assert isinstance(first, float)
    assert isinstance(second, float)
    assert difference == pytest.approx(first - second)
    assert first > second + 0.3


def test_one_template_by_hand_against_scipy() -> None:
    audit = next_token()
    found, samples = answered(audit, engine(kind_women))
    inside = [s.request for s in samples if s.request.cluster == TEMPLATES[0]]
    rows = [np.exp(response(r, kind_women(r)).logprobs) for r in inside if isinstance(r, NextToken)]
    jsd = np.array([[jensenshannon(p, q, base=2) ** 2 for q in rows] for p in rows])
    between = jsd[:4, 4:].mean()
    within = [jsd[:4, :4].sum() / 12, jsd[4:, 4:].sum() / 12]
    values = {
        name: estimate.cluster_values[TEMPLATES[0]] for name, estimate in found.estimates.items() if "jsd" in name
    }
    assert values["jsd_between.women-men"] == pytest.approx(between)
    assert [values["jsd_within.women"], values["jsd_within.men"]] == pytest.approx(within)
    assert values["jsd_excess.women-men"] == pytest.approx(between - np.mean(within))


def test_samples_are_kept_without_their_distributions_and_measure_the_same_with_them() -> None:
    audit, fake = next_token(), engine(kind_women)
    found, samples = answered(audit, fake)
    assert all(isinstance(s.response, NextTokens) and not s.response.logprobs for s in samples)
    whole = Execution(fake, lambda _: fake, lambda _, __: None).answer(audit.requests())
    assert audit.measure(whole).estimates == found.estimates


def test_the_order_of_the_groups_changes_the_sign_of_the_log_odds_alone() -> None:
    there = measured(next_token(), kind_women)
    back = measured(next_token(groups=dict(reversed(GROUPS.items()))), kind_women)
    assert back.estimates["jsd_excess"].value == pytest.approx(there.estimates["jsd_excess"].value)
    assert back.estimates["log_odds_warm.men-women"].value == -there.estimates["log_odds_warm.women-men"].value


def test_a_name_without_an_answer_takes_its_template_out_of_the_comparison() -> None:
    lost = "In the office, Ann seemed very"
    found = measured(next_token(), kind_women, lost=lambda request: request.prompt == lost)
    excess = found.estimates["jsd_excess"]
    assert (excess.n, excess.missing, excess.clusters, excess.problem) == (79, 1, 9, None)
    assert math.isnan(excess.cluster_values[TEMPLATES[0]])
    assert found.estimates["jsd_within.men"].clusters == 10


def test_too_many_missing_names_are_inconclusive() -> None:
    audit = next_token()
    found = measured(audit, lost=lambda request: "Ann" in request.prompt and request.cluster in TEMPLATES[:3])
    assert verdict(audit, found) == "inconclusive"
    problem = "30% of the templates have a name without an answer (at most 20%)"
    assert found.estimates["jsd_excess"].problem == problem


def test_a_distribution_that_overflowed_is_no_answer() -> None:
    half, overflowed = (NextTokens((), 0.0, logprobs=(value, value)) for value in (math.log(0.5), math.nan))
    reading = read_template("t", [half, overflowed, half])
    assert reading.answered.tolist() == [True, False, True]
    assert reading.jsd[0, 2] == 0


def test_a_group_without_answers_leaves_the_tests_of_the_others_alone() -> None:
    children = {"children": {"names": ["Kit", "Max", "Pat", "Sam"]}}
    lost = measured(
        next_token(groups={**GROUPS, **children}), lost=lambda request: request.factors["group"] == "children"
    ).estimates
    alone = measured(next_token()).estimates
    for metric in ("log_odds_warm.women-men", "jsd_excess.women-men"):
        assert lost[metric].p_value == alone[metric].p_value
        assert lost[metric].details["p over names"] == alone[metric].details["p over names"]
    assert lost["log_odds_warm"].problem


def test_an_engine_that_answers_nothing_is_no_crash() -> None:
    audit = next_token()
    found = measured(audit, lost=lambda _: True)
    assert set(found.estimates) == set(audit.metrics)
    assert all(math.isnan(estimate.value) and estimate.problem for estimate in found.estimates.values())
    assert verdict(audit, found) == "inconclusive"
    assert found.evidence["jsd_excess"] == ()


def test_words_that_count_by_a_piece_are_listed() -> None:
    def handler(request: Request) -> Response | None:
        return response(request, noise(request)) if isinstance(request, NextToken) else None

    words = {"warm": [" kind", " glad"], "odd": [" calm-able"]}
    audit = next_token(words={"warm": WORDS["warm"], "odd": [" calm"]})
    assert all(
        each.title != "Words that count by a piece of them" for each in answered(audit, FakeEngine(handler))[0].tables
    )
    answer = NextTokens((), 1.0, (0.1, 0.2), (math.log(0.5),) * 2)
    fake = FakeEngine(lambda request: answer if isinstance(request, NextToken) else None)
    found = table(answered(next_token(words=words), fake)[0], "Words that count by a piece of them")
    assert found.rows == (("odd", " calm-able", " calm", 3),)


def test_an_engine_without_a_tokenizer_needs_none() -> None:
    fake = FakeEngine(
        lambda request: response(request, noise(request)) if isinstance(request, NextToken) else None,
        capabilities=frozenset({NextToken}),
    )
    answered(next_token(), fake)
    assert not [request for request in fake.requests if isinstance(request, Tokenize)]


def test_few_names_are_remarked_and_few_templates_a_problem() -> None:
    few = next_token(groups={group: {"names": names[:3]} for group, names in NAMES.items()}, templates=TEMPLATES[:9])
    assert measured(few).notes == ("With 3 names in each group no p over names can be below 0.1: add names.",)
    assert few.problems()["jsd_excess"] == "design: 9 clusters, a t interval needs 10: add templates"
    assert not next_token().problems()


def test_the_figures_show_the_limit_the_odds_and_the_next_words() -> None:
    excess, odds, bars = measured(next_token(), kind_women).figures
    assert getattr(excess, "limits", None) == (0.05,)
    assert [row[0] for row in getattr(odds, "rows", ())] == ["warm: women - men"]
    assert [row[0] for row in getattr(bars, "rows", ())][:2] == ["' kind', women", "' kind', men"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": {"women": {"names": NAMES["women"]}, "men": {"names": NAMES["men"][:3]}}},
         "groups of unequal size: women has 4 names, men has 3"),
        ({"groups": {"women": {"names": ["Ann", "Eve", "Bob"]}, "men": {"names": ["Bob", "Dan", "Joe"]}}},
         "the name 'Bob' stands in women and in men"),
        ({"groups": {"women": {"names": ["Ann", "Eve", "Ann"]}, "men": {"names": ["Bob", "Dan", "Joe"]}}},
         "the name 'Ann' stands twice in women"),
        ({"groups": {"women": {"names": ["Ann", "Eve", "Ida "]}, "men": {"names": ["Bob", "Dan", "Joe"]}}},
         "a space at the start or end of the name 'Ida '"),
        ({"groups": {"women": {"names": ["Ann", "Eve"]}, "men": {"names": ["Bob", "Dan"]}}},
         "List should have at least 3 items after validation, not 2"),
        ({"templates": ["{group} is very"]}, "unknown slot {group}: a name takes the place of {name}"),
        ({"templates": ["{name} is } very"]}, "a stray '}': a name takes the place of {name}"),
        ({"templates": ["She is very"]}, "the template has no slot {name}: every group would get the same prompt"),
        ({"templates": ["{name} is very "]}, "a space at the start or end of 'Ann is very '"),
        ({"templates": ["{name} are very"]}, "'are' does not agree with 'Ann' in 'Ann are very'"),
        ({"templates": [TEMPLATES[0]] * 2}, f"{TEMPLATES[0]!r} stands here twice"),
        ({"templates": []}, "needs at least one template"),
        ({"words": {"warm": ["kind"]}}, "'kind' would be joined to the prompt's last word: write ' kind'"),
        ({"words": {"warm": ["über"]}}, "'über' would be joined to the prompt's last word: write ' über'"),
        ({"words": {"warm": [" kind", " kind"]}}, "' kind' stands here twice"),
        ({"words": {"warm": [" "]}}, "an empty word"),
    ],
)  # fmt: skip
def test_bad_stimuli_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    assert refusal(**changes) == message


def test_the_kind_is_offered() -> None:
    assert pytest_llmaudit_audits() == [NextTokenAudit]
