"""The comparison of predictions, by hand; the fake engine's stand-in for it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmaudit.engines.base import Engine
from llmaudit.engines.comparing import Comparable, Lexical, Span, compare_logits
from llmaudit.engines.fake import VOCABULARY, FakeEngine
from llmaudit.errors import EngineError


def test_two_tokens_by_hand() -> None:
    # P = (3/4, 1/4), Q = (1/4, 3/4): KL = 3/4 ln 3 + 1/4 ln 1/3 = ln(3)/2.
    found = compare_logits(np.log([[3.0, 1.0]]), np.log([[1.0, 3.0]]), [0])
    assert found.kl == pytest.approx([math.log(3) / 2])
    assert found.reference_nll == pytest.approx([-math.log(3 / 4)])
    assert found.nll == pytest.approx([-math.log(1 / 4)])
    assert found.same_top.tolist() == [0.0]
    assert found.shared_top.tolist() == [1.0]


def test_the_five_most_likely_tokens_are_compared_as_sets() -> None:
    reference = np.array([[9.0, 8, 7, 6, 5, 4, 3, 2, 1, 0]])
    model = np.array([[9.0, 5, 6, 7, 0, 1, 2, 8, 3, 4]])
    found = compare_logits(reference, model, [0])
    # 0, 1, 2, 3, 4 against 0, 7, 3, 2, 1.
    assert found.shared_top.tolist() == [0.8]
    assert found.same_top.tolist() == [1.0]


def test_a_span_knows_what_is_scored_and_what_that_takes() -> None:
    span = Span((5, 6, 7, 8), 2)
    assert span.targets == (7, 8)
    assert span.size(100) == 800


def test_the_fake_engine_can_be_compared() -> None:
    engine: Engine = FakeEngine()
    assert isinstance(engine, Comparable)
    assert isinstance(engine, Lexical)
    with engine.baseline([Span((0, 4, 8, 4), 1)], 0) as baseline:
        (same, _), *_ = FakeEngine().compare(baseline)
        (other, seconds), *_ = FakeEngine(logits=lambda ids: np.zeros((len(ids), VOCABULARY))).compare(baseline)
    assert not same.kl.any()
    assert (other.kl > 0).all()
    assert other.nll == pytest.approx([math.log(VOCABULARY)] * 3)
    assert seconds > 0


def test_the_fake_engine_is_compared_with_its_like_alone() -> None:
    class Stranger:
        spans = ()
        speed = 1.0

    with pytest.raises(EngineError, match="another one"):
        list(FakeEngine().compare(Stranger()))
