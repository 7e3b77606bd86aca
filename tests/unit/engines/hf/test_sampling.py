"""From logits to tokens, row by row."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmaudit.engines.hf.noise import row_key
from llmaudit.engines.hf.sampling import RowSampler, restrict
from llmaudit.types import Sampling

CPU = torch.device("cpu")
NO_STEPS = torch.zeros(1, dtype=torch.int32)


def kept(probabilities: list[float], top_k: int = 0, top_p: float = 1.0) -> list[int]:
    logits = torch.log(torch.tensor(probabilities))
    found = restrict(logits, top_k, top_p)
    assert torch.equal(found[found > -torch.inf], logits[found > -torch.inf])
    return torch.nonzero(found > -torch.inf)[:, 0].tolist()


@pytest.mark.parametrize(
    ("top_k", "top_p", "tokens"),
    [
        (0, 1.0, [0, 1, 2, 3]),
        (1, 1.0, [2]),
        (2, 1.0, [1, 2]),
        (4, 1.0, [0, 1, 2, 3]),
        (9, 1.0, [0, 1, 2, 3]),
        (0, 0.5, [2]),  # .5 is reached by the first token alone
        (0, 0.51, [1, 2]),
        (0, 0.79, [1, 2]),
        (0, 0.81, [1, 2, 3]),
        (0, 0.96, [0, 1, 2, 3]),
        (0, 1e-9, [2]),
        (2, 0.6, [2]),  # of the two kept, .5/.8 = .625 is reached by the first
        (2, 0.63, [1, 2]),
        (3, 0.95, [1, 2, 3]),
    ],
)
def test_top_k_and_nucleus_by_hand(top_k: int, top_p: float, tokens: list[int]) -> None:
    assert kept([0.05, 0.3, 0.5, 0.15], top_k, top_p) == tokens


def test_ties_are_cut_by_token_id() -> None:
    assert kept([0.25] * 4, top_k=2) == [0, 1]
    assert kept([0.25] * 4, top_p=0.6) == [0, 1, 2]


@given(st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=12), st.integers(0, 12), st.floats(0.01, 1))
def test_what_is_kept_is_the_most_likely_and_reaches_the_mass(values: list[float], top_k: int, top_p: float) -> None:
    logits = torch.tensor(values, dtype=torch.float32)
    found = restrict(logits, top_k, top_p)
    inside = found > -torch.inf
    assert 1 <= int(inside.sum()) <= (top_k or len(values))
    if not inside.all():
        assert logits[inside].min() >= logits[~inside].max()
    if not top_k:
        assert float(torch.softmax(logits, 0)[inside].sum()) >= top_p - 1e-5


def sampler(*samplings: Sampling) -> RowSampler:
    return RowSampler(samplings, [row_key(0, "p", number) for number in range(len(samplings))], CPU)


def frequencies(sampling: Sampling, logits: list[float], draws: int = 4000) -> list[float]:
    rows = sampler(*[sampling] * draws)
    drawn = rows.draw(torch.tensor(logits).expand(draws, -1), torch.zeros(draws, dtype=torch.int32))
    return (torch.bincount(drawn, minlength=len(logits)) / draws).tolist()


def test_temperature_divides_the_logits() -> None:
    logits = [0.0, 1.0, 2.0]
    for temperature in (0.5, 1.0, 2.0):
        expected = torch.softmax(torch.tensor(logits) / temperature, 0).tolist()
        assert frequencies(Sampling(temperature=temperature), logits) == pytest.approx(expected, abs=0.03)


def test_a_bias_is_added_in_nats() -> None:
    found = frequencies(Sampling(logit_bias=((0, math.log(3)), (2, -100.0))), [0.0, 0.0, 0.0])
    assert found == pytest.approx([0.75, 0.25, 0], abs=0.03)


def test_restricted_tokens_are_never_drawn() -> None:
    assert frequencies(Sampling(top_k=1), [0.0, 3.0, 1.0]) == [0, 1, 0]
    assert frequencies(Sampling(top_p=0.5), [0.0, 3.0, 1.0]) == [0, 1, 0]


def test_zero_is_greedy_and_the_bias_counts() -> None:
    rows = sampler(Sampling(temperature=0), Sampling(temperature=0, logit_bias=((0, 9.0),)))
    assert rows.draw(torch.tensor([[0.0, 3, 1], [0, 3, 1]]), torch.zeros(2, dtype=torch.int32)).tolist() == [1, 0]


def test_rows_of_one_batch_differ_in_every_setting() -> None:
    settings = (
        Sampling(temperature=0),
        Sampling(temperature=0.5),
        Sampling(top_k=2),
        Sampling(top_p=0.7),
        Sampling(temperature=2, logit_bias=((4, 5.0),)),
    )
    logits = torch.randn(5, 30, generator=torch.Generator().manual_seed(3))
    steps = torch.arange(5, dtype=torch.int32)
    together = sampler(*settings).draw(logits, steps).tolist()
    for row, setting in enumerate(settings):
        alone = RowSampler([setting], [row_key(0, "p", row)], CPU)
        assert alone.draw(logits[row : row + 1], steps[row : row + 1]).tolist() == [together[row]]


def test_the_logits_are_left_as_they_were() -> None:
    logits = torch.randn(1, 30, generator=torch.Generator().manual_seed(3))
    before = logits.clone()
    sampler(Sampling(temperature=0.3, top_k=3, logit_bias=((1, 2.0),))).draw(logits, NO_STEPS)
    assert torch.equal(logits, before)


def test_rows_leave_and_join() -> None:
    logits = torch.randn(4, 30, generator=torch.Generator().manual_seed(4))
    steps = torch.zeros(4, dtype=torch.int32)
    settings = [Sampling(), Sampling(top_k=3), Sampling(temperature=0), Sampling(logit_bias=((7, 9.0),))]
    whole = sampler(*settings).draw(logits, steps).tolist()
    rows = sampler(*settings)
    rows.keep([3, 1])
    assert rows.draw(logits[[3, 1]], steps[:2]).tolist() == [whole[3], whole[1]]
    rows.extend(RowSampler([settings[2], settings[0]], [row_key(0, "p", 2), row_key(0, "p", 0)], CPU))
    assert rows.draw(logits[[3, 1, 2, 0]], steps).tolist() == [whole[3], whole[1], whole[2], whole[0]]


def test_logits_in_bfloat16_are_drawn_from_in_float32() -> None:
    logits = torch.randn(1, 30, generator=torch.Generator().manual_seed(5)).bfloat16()
    one = sampler(Sampling(temperature=0.7)).draw(logits, NO_STEPS)
    assert one.tolist() == sampler(Sampling(temperature=0.7)).draw(logits.float(), NO_STEPS).tolist()
