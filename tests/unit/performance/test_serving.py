"""Estimates of a load, from requests whose every moment is known."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.audit import CheckParams
from llmaudit.gaps import LEVEL, level_interval
from llmaudit.performance.exchanges import Exchange
from llmaudit.performance.load import LoadParams, arrivals
from llmaudit.performance.serving import estimates, percentile, serving_metrics, serving_problems, unreachable_limits
from llmaudit.performance.serving_exhibits import remarks, repetitions_table, shares_figure
from llmaudit.stats import Limit, judge
from llmaudit.types import Estimate, Verdict

TARGETS = {"ttft": 0.5, "tpot": 0.02}


def load(**keys: Any) -> LoadParams:
    known = {"open": {"rate": 10.0}, "requests": 60, "repetitions": 10, "goodput": TARGETS}
    return LoadParams.model_validate(known | keys)


def exchange(repetition: int, number: int, wait: float, *, due: float = 0.0, pieces: int = 5) -> Exchange:
    """A request that waits, and then gets a token every 10 ms, of three characters and four bytes each."""
    times = tuple(due + wait + 0.01 * piece for piece in range(pieces))
    end = times[-1] if times else due + wait
    return Exchange(repetition, number, "p", due, due, end, times, " zü" * pieces, pieces, counted=True)


def failed(one: Exchange) -> Exchange:
    return replace(one, error="HTTP 503: overloaded")


def steady(waits: Iterable[float], requests: int = 60) -> list[Exchange]:
    """Every request of a repetition waits as long; ten a second are due."""
    return [
        exchange(repetition, number, wait, due=number / 10)
        for repetition, wait in enumerate(waits, 1)
        for number in range(requests)
    ]


def test_every_metric_is_measured_and_known_before() -> None:
    for kind in (load(), load(goodput=None), load(repetitions=2), load(open=None, closed={"users": 1})):
        for found in ([], steady([0.1] * kind.repetitions)):
            measured = estimates(found, kind)
            assert set(measured) == set(serving_metrics(kind))
            assert set(serving_problems(kind)) <= set(measured)
            for name, estimate in measured.items():
                assert (estimate.metric, estimate.unit) == (name, serving_metrics(kind)[name].unit)
                assert math.isnan(estimate.value) <= (estimate.problem is not None)


def test_known_moments_give_known_numbers() -> None:
    waits = [0.1 + 0.01 * number for number in range(10)]
    found = estimates(steady(waits), load())
    assert found["ttft"].value == pytest.approx(np.mean(waits))
    assert found["ttft"].cluster_values == pytest.approx({str(n): wait for n, wait in enumerate(waits, 1)})
    interval = found["ttft"].interval
    assert interval is not None
    half = 1.8331 * np.std(waits, ddof=1) / math.sqrt(10)
    assert (interval.low, interval.high) == pytest.approx((0.145 - half, 0.145 + half), abs=1e-5)
    assert found["tpot"].value == found["itl"].value == pytest.approx(0.01)
    assert found["e2e"].value == pytest.approx(found["ttft"].value + 4 * found["tpot"].value)
    span = np.array([5.9 + 0.04 + wait for wait in waits])
    assert found["requests_per_second"].value == pytest.approx(np.mean(60 / span))
    assert found["tokens_per_second"].value == pytest.approx(np.mean(300 / span))
    assert found["characters_per_second"].value == pytest.approx(np.mean(900 / span))
    assert found["bytes_per_second"].value == pytest.approx(np.mean(1200 / span))
    assert found["goodput"].value == pytest.approx(found["requests_per_second"].value)
    assert found["goodput_share"].value == 1
    assert found["failure_rate"].value == 0
    assert found["failure_rate"].interval is not None
    assert found["failure_rate"].interval.high > 0, "no failure among ten repetitions does not show that there are none"
    assert (found["ttft"].n, found["ttft"].clusters, found["ttft"].missing) == (600, 10, 0)


def test_a_request_that_misses_a_target_or_fails_is_no_goodput() -> None:
    exchanges = steady([0.1] * 10)
    slow = [replace(one, times=(one.due + 0.6, one.due + 0.61), tokens=2) for one in exchanges[::3]]
    broken = [failed(one) for one in exchanges[1::3]]
    found = estimates([*slow, *broken, *exchanges[2::3]], load())
    assert found["goodput_share"].value == pytest.approx(1 / 3)
    assert found["failure_rate"].value == pytest.approx(1 / 3)
    assert found["goodput"].value == pytest.approx(found["requests_per_second"].value / 2)


def test_what_failed_makes_a_percentile_unknown_and_not_better() -> None:
    exchanges = steady([0.1] * 10)
    few = estimates([failed(one) if one.number < 2 else one for one in exchanges], load())
    assert few["ttft"].problem is None
    assert few["ttft_p95"].problem is None
    assert few["ttft"].missing == 20
    more = estimates([failed(one) if one.number < 4 else one for one in exchanges], load())
    assert more["ttft"].problem is None
    assert more["ttft_p95"].problem == "in 10 of 10 repetitions so many requests failed that ttft_p95 is not known"
    most = estimates([failed(one) if one.number < 31 else one for one in exchanges], load())
    assert most["ttft"].problem is not None
    assert most["itl"].problem is not None
    assert most["requests_per_second"].problem is None


def test_one_repetition_that_says_nothing_leaves_the_metric_undecided() -> None:
    exchanges = [one for one in steady([0.1] * 10) if one.repetition != 4]
    found = estimates(exchanges, load())
    assert all(estimate.problem and estimate.interval is None for estimate in found.values())
    assert "in 1 of 10 repetitions no request was due" in str(found["ttft"].problem)


def test_answers_in_one_piece_have_no_time_per_token() -> None:
    whole = [replace(one, times=one.times[:1]) for one in steady([0.1] * 10)]
    found = estimates(whole, load())
    for name in ("tpot", "itl"):
        assert math.isnan(found[name].value)
        assert "no answer came in several pieces" in str(found[name].problem)
    assert found["e2e"].value == found["ttft"].value
    assert found["goodput_share"].value == 1
    assert any("in one piece" in remark for remark in remarks(whole, load()))


@pytest.mark.parametrize(
    ("keys", "problems"),
    [
        ({"requests": 300, "seconds": 300.0}, set()),
        ({"requests": 300, "seconds": 8.0}, {"p99"}),
        ({"requests": 60}, {"p99"}),
        ({"requests": 58}, {"p95", "p99"}),
        ({"requests": 10}, {"p90", "p95", "p99"}),
    ],
)
def test_percentiles_of_too_few_requests_are_said_before(keys: dict[str, Any], problems: set[str]) -> None:
    found = serving_problems(load(**keys))
    assert {name.partition("_")[2] for name in found} == problems
    assert all("n too small" in why for why in found.values())


def test_too_few_repetitions_are_said_before() -> None:
    found = serving_problems(load(repetitions=9))
    assert set(found) == set(serving_metrics(load()))
    assert found["goodput"] == "design: 9 repetitions, a t interval needs 10: add repetitions"


@given(st.lists(st.floats(0, 100), min_size=60, max_size=120), st.integers(0, 3))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: list[float], late: int) -> None:
    found = percentile([*values, *[math.inf] * late], 0.95)
    count = len(values) + late
    assert sum(value <= found for value in [*values, *[math.inf] * late]) >= 0.95 * count - 1e-9
    assert sum(value < found for value in values) < 0.95 * count
    assert math.isnan(percentile(values[:58], 0.95))


def test_a_queue_has_the_wait_that_theory_gives_it() -> None:
    """One server, 50 ms a request, 10 a second due: M/D/1 waits rho/(2 mu (1 - rho)) = 25 ms (Pollaczek, Khinchine)."""
    kind = load(requests=4000, seconds=1e9)
    exchanges = []
    for repetition in range(1, 11):
        free = 0.0
        for number, due in enumerate(arrivals(kind, 0, repetition)):
            free = max(free, due) + 0.05
            exchanges.append(Exchange(repetition, number, "p", due, due, free, (free,), "x", 1))
    waits = [np.mean([one.ttft for one in exchanges if one.repetition == each]) - 0.05 for each in range(1, 11)]
    assert np.mean(waits) == pytest.approx(0.025, abs=0.0015)
    assert estimates(exchanges, kind)["requests_per_second"].value == pytest.approx(10, rel=0.02)


def test_remarks_say_what_would_mislead() -> None:
    assert remarks(steady([0.1] * 10), load()) == ()
    assert remarks([], load()) == ("No request was sent.",)
    growing = [exchange(1, number, 0.1 * number, due=number / 10) for number in range(60)]
    late = [replace(one, sent=one.due + 0.08) for one in steady([0.1])]
    cases = {
        "does not keep up with 10 requests a second": growing,
        "The client itself was late by 0.080 s": late,
        "does not count its tokens": [replace(one, counted=False) for one in steady([0.1])],
        "30 of 60 requests failed, 30 of them so: HTTP 503: overloaded.": [
            failed(one) if one.number % 2 else one for one in steady([0.1])
        ],
    }
    for words, exchanges in cases.items():
        (remark,) = remarks(exchanges, load(repetitions=1))
        assert words in remark
    (remark,) = remarks(steady([0.1]), load(open=None, closed={"users": 6}))
    assert "a slower server is asked less often" in remark
    (remark,) = remarks(steady([0.1]), load(ignore_eos=True, max_new_tokens=6))
    assert "60 of 60 answers have more or fewer than 6 tokens" in remark


def test_what_is_shown_of_a_load() -> None:
    exchanges = [failed(one) if one.number == 0 else one for one in steady([0.1, 0.2])]
    kind = load(repetitions=3)
    table = repetitions_table(exchanges, kind)
    assert table.rows[0] == pytest.approx((1, 60, 1, 0.1, 0.01, 0.14, 6.04, 0))
    assert table.rows[2] == (3, 0, 0, None, None, None, None, None)
    figure = shares_figure(exchanges, kind)
    assert [panel.axis for panel in figure.panels] == [
        "share of requests, ttft, target 0.5 s",
        "share of requests, tpot, target 0.02 s",
        "share of requests, e2e",
    ]
    for panel in figure.panels:
        shares = [value for _, value, _, _ in panel.curves[0].points]
        assert shares == sorted(value for value in shares if value is not None)
        assert shares[-1] == pytest.approx(118 / 120), "two failed"


@pytest.mark.parametrize(
    ("repetitions", "checks", "why"),
    [
        (10, {"failure_rate": {"max": 0.05}}, "bound failure_rate to 0.26 .* its limit is 0.05 from it: 59 are needed"),
        (10, {"goodput_share": {"min": 0.95}}, "bound goodput_share to 0.26 .* 59 are needed"),
        (58, {"failure_rate": {"max": 0.05}}, "59 are needed"),
        (10, {"failure_rate": {"max": 0.0}}, "no number of them can"),
        (59, {"failure_rate": {"max": 0.05}, "goodput_share": {"min": 0.95}}, None),
        (10, {"failure_rate": {"max": 0.3}, "goodput_share": {"min": 0.7}, "ttft": {"max": 0.01}}, None),
    ],
)
def test_a_share_that_no_server_could_keep_to_is_said_before(
    repetitions: int, checks: dict[str, Any], why: str | None
) -> None:
    load = LoadParams.model_validate({"closed": {"users": 1}, "repetitions": repetitions, "goodput": {"ttft": 1}})
    params = {name: CheckParams.model_validate({**check, "why": "so"}) for name, check in checks.items()}
    found = unreachable_limits(load, params)
    if why is None:
        assert found == {}
    else:
        assert list(found) == list(checks)
        assert re.search(why, next(iter(found.values())))


def test_a_faultless_server_passes_as_soon_as_it_can() -> None:
    for repetitions, verdict in ((58, Verdict.INCONCLUSIVE), (59, Verdict.PASS)):
        found = level_interval("proportion", np.zeros(repetitions), LEVEL)
        estimate = Estimate("failure_rate", 0.0, found, "proportion", "lower", n=repetitions, clusters=repetitions)
        assert judge(estimate, Limit(max=0.05)).verdict is verdict
