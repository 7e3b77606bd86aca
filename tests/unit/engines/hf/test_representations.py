"""Embeddings, attention and streamed logits, against a plain call of one row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from llmaudit.engines.hf import representations
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.engines.hf.representations import stream_logits
from llmaudit.errors import EngineError
from llmaudit.types import Attend, Attention, Embed, Embedding, Failure, Request, Score

TEXTS = (
    "In most offices, women are known for their work",
    "men",
    "The teacher said that the students in the room had read the book",
    "The",
)


@pytest.fixture(scope="module")
def reference(tiny: Any, llama_folder: Path) -> Any:
    return tiny.reference(llama_folder)


@pytest.fixture(scope="module")
def tokenizer(tiny: Any) -> Any:
    return tiny.byte_level()


@pytest.fixture(scope="module")
def started(tiny: Any) -> Path:
    """A model whose tokenizer adds a start token to every text."""
    tokenizer = tiny.byte_fallback()
    config = tiny.config(vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2)
    folder: Path = tiny.folder(config, tokenizer)
    return folder


def answers(engine: HFEngine, requests: list[Request]) -> list[Any]:
    found = dict(engine.run(requests))
    assert sorted(found) == list(range(len(requests)))
    return [found[number] for number in range(len(requests))]


def hidden_states(model: Any, ids: list[int]) -> tuple[torch.Tensor, ...]:
    """Give what every layer makes of a text alone: (tokens, hidden size) each."""
    with torch.no_grad():
        states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    return tuple(layer[0] for layer in states)


@pytest.mark.parametrize("layer", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_embeddings_are_the_hidden_states_of_a_layer(
    request: pytest.FixtureRequest, tiny: Any, tokenizer: Any, name: str, layer: int
) -> None:
    engine, model = request.getfixturevalue(name), tiny.reference(request.getfixturevalue(f"{name}_folder"))
    asked: list[Request] = [Embed(text, "c", pooling, layer) for text in TEXTS for pooling in ("mean", "last")]
    found = iter(answers(engine, asked))
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"]
        states = hidden_states(model, ids)[layer]
        for expected in (states.mean(0), states[-1]):
            embedding = next(found)
            assert isinstance(embedding, Embedding)
            assert embedding.vector == pytest.approx(expected.tolist(), abs=1e-5)
            assert embedding.tokens == len(ids)


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_tokens_that_the_tokenizer_adds_are_read_and_not_counted(tiny: Any, started: Path, layer: int) -> None:
    tokenizer, model = tiny.byte_fallback(), tiny.reference(started)
    asked: list[Request] = [Embed(text, "c", pooling, layer) for text in TEXTS for pooling in ("mean", "last")]
    found = iter(answers(tiny.engine(started), asked))
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"]
        assert ids[0] == 1
        states = hidden_states(model, ids)[layer][1:]
        for expected in (states.mean(0), states[-1]):
            embedding = next(found)
            assert embedding.vector == pytest.approx(expected.tolist(), abs=1e-5)
            assert embedding.tokens == len(ids) - 1


def test_many_texts_are_embedded_in_several_batches(llama: HFEngine) -> None:
    asked: list[Request] = [Embed(f"{text} {number}", "c") for number in range(60) for text in TEXTS]
    together = answers(llama, asked)
    for number in (0, 7, 101, 239):
        (alone,) = answers(llama, [asked[number]])
        assert together[number].vector == pytest.approx(alone.vector, abs=1e-5)


@pytest.mark.parametrize("layer", [3, 99, -4, -99])
def test_a_layer_that_is_not_there_is_a_failure_of_that_request_alone(llama: HFEngine, layer: int) -> None:
    refused, good = answers(llama, [Embed("men", "c", layer=layer), Embed("men", "c")])
    assert refused == Failure(f"layer {layer}: the model has layers 0 (embeddings) to 2")
    assert isinstance(good, Embedding)


def test_an_empty_text_has_no_embedding(tiny: Any, llama: HFEngine, started: Path) -> None:
    for engine in (llama, tiny.engine(started)):
        empty, good = answers(engine, [Embed("", "c"), Embed("women", "c")])
        assert empty == Failure("the text is empty")
        assert isinstance(good, Embedding)


def test_full_memory_costs_one_text_at_most(tiny: Any, llama: HFEngine, llama_folder: Path, watched: Any) -> None:
    texts = ["women are known", "men", "women are known for their work and men are known for theirs"]
    asked: list[Request] = [*(Embed(text, "c") for text in texts), *(Attend(text, "c") for text in texts)]
    usual = answers(llama, asked)
    engine = tiny.engine(llama_folder)

    def refuses(inputs: Any) -> None:
        if inputs.numel() > 10:
            raise torch.OutOfMemoryError

    engine._forward.check_padding()
    model = engine._loaded.model
    handle = model.get_input_embeddings().register_forward_pre_hook(lambda _, inputs: refuses(inputs[0]))
    try:
        found = answers(engine, asked)
    finally:
        handle.remove()
    assert [isinstance(each, Failure) for each in found] == [False, False, True] * 2
    assert [each.vector for each in found[:2]] == [pytest.approx(each.vector, abs=1e-5) for each in usual[:2]]
    assert found[3:5] == usual[3:5]


def test_texts_that_are_too_long_are_failures(llama: HFEngine, tiny: Any) -> None:
    long = "women are known " * 40
    embedded, seen, good = answers(llama, [Embed(long, "c"), Attend(long, "c"), Attend("men", "c")])
    for refused in (embedded, seen):
        assert isinstance(refused, Failure)
        assert refused.error.endswith(f"tokens are more than the model's context of {tiny.context}")
    assert isinstance(good, Attention)


@pytest.fixture(scope="module")
def eager(llama_folder: Path, gpt2_folder: Path) -> dict[str, Any]:
    import transformers

    auto: Any = transformers.AutoModelForCausalLM
    folders = {"llama": llama_folder, "gpt2": gpt2_folder}
    return {
        name: auto.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
        for name, folder in folders.items()
    }


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_attention_is_that_of_one_row_alone(
    request: pytest.FixtureRequest, eager: dict[str, Any], tokenizer: Any, name: str
) -> None:
    engine = request.getfixturevalue(name)
    for text, found in zip(TEXTS, answers(engine, [Attend(text, "c") for text in TEXTS]), strict=True):
        ids = tokenizer(text)["input_ids"]
        with torch.no_grad():
            expected = torch.stack(eager[name](torch.tensor([ids]), output_attentions=True).attentions)[:, 0]
        assert isinstance(found, Attention)
        weights = torch.tensor(found.weights)
        assert weights.shape == (2, 4, len(ids), len(ids))
        assert torch.allclose(weights, expected, atol=1e-5, rtol=0)
        assert torch.allclose(weights.sum(-1), torch.ones(2, 4, len(ids)), atol=1e-5, rtol=0)
        assert not weights.triu(1).any()
        assert found.layers == (0, 1)
        assert list(found.pieces) == tokenizer.convert_ids_to_tokens(ids)


def test_chosen_layers_are_given_in_their_order(llama: HFEngine) -> None:
    every, second, turned = answers(llama, [Attend("The men", "c", layers) for layers in ((), (1,), (1, 0))])
    assert (second.layers, second.weights) == ((1,), every.weights[1:])
    assert (turned.layers, turned.weights) == ((1, 0), every.weights[::-1])


@pytest.mark.parametrize("layers", [(2,), (0, 5), (-1,)])
def test_attention_of_a_layer_that_is_not_there_is_a_failure(llama: HFEngine, layers: tuple[int, ...]) -> None:
    refused, good = answers(llama, [Attend("The men", "c", layers), Attend("The men", "c", (1,))])
    assert refused == Failure(f"layers {layers}: the model tells the attention of 2 layers")
    assert isinstance(good, Attention)


def test_the_tokens_that_were_looked_at_are_named(tiny: Any, started: Path) -> None:
    found, empty = answers(tiny.engine(started), [Attend("men", "c"), Attend("", "c")])
    assert found.pieces == ("<s>", "▁", "m", "e", "n")
    assert len(found.weights[0][0]) == 5
    assert (empty.pieces, empty.weights[0][0]) == (("<s>",), ((1.0,),))


def test_the_model_reads_as_before_afterwards(tiny: Any, llama_folder: Path) -> None:
    engine = tiny.engine(llama_folder)
    usual = engine._loaded.model.config._attn_implementation
    assert usual != "eager"
    before = answers(engine, [Score("The", " men are", "c")])
    generator = engine.run([Attend("The men", "c"), Attend("men", "c")])
    next(generator)
    generator.close()
    assert engine._loaded.model.config._attn_implementation == usual
    assert answers(engine, [Attend("The men", "c", (7,)), Score("The", " men are", "c")])[1:] == before
    assert engine._loaded.model.config._attn_implementation == usual


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize(
    ("name", "changes"),
    [("Llama", {}), ("GPT2", {}), ("Mistral", {"sliding_window": 6})],
    ids=["llama", "gpt2", "mistral with a window"],
)
def test_streamed_logits_are_those_of_one_pass(tiny: Any, name: str, changes: dict[str, Any], chunk: int) -> None:
    folder = tiny.folder(tiny.config(name, **changes))
    engine, model, tokenizer = tiny.engine(folder), tiny.reference(folder), tiny.byte_level()
    texts = {9: TEXTS[0], 2: TEXTS[1], 5: TEXTS[2], 4: ""}
    pieces = list(engine.stream_logits(texts, chunk))
    # One text after the other, as given, and each from its beginning on without a gap.
    assert list(dict.fromkeys(key for key, _, _ in pieces)) == list(texts)
    for key, text in texts.items():
        ids = tokenizer(text)["input_ids"] or [tokenizer.eos_token_id]
        own = [(first, logits) for number, first, logits in pieces if number == key]
        assert [first for first, _ in own] == list(range(0, len(ids), chunk))
        assert [len(logits) for first, logits in own] == [min(chunk, len(ids) - first) for first, _ in own]
        assert {logits.dtype for _, logits in own} == {torch.float32}
        with torch.no_grad():
            expected = model(torch.tensor([ids])).logits[0]
        assert torch.allclose(torch.cat([logits for _, logits in own]), expected, atol=1e-4, rtol=0)


def test_a_text_that_is_too_long_to_stream_is_an_error_at_once(llama: HFEngine, tiny: Any) -> None:
    match = rf"\Atext 3: \d+ tokens are more than the model's context of {tiny.context}\Z"
    with pytest.raises(EngineError, match=match):
        llama.stream_logits({1: "men", 3: "women are known " * 40})


def test_nothing_to_stream(reference: Any, llama: HFEngine) -> None:
    assert list(llama.stream_logits({})) == []
    assert list(stream_logits(reference, {}, torch.device("cpu"), 7)) == []


def test_too_many_attention_weights_are_a_failure(llama: HFEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(representations, "_WEIGHTS", 100)
    many, few = answers(llama, [Attend("women are known", "c"), Attend("men", "c", layers=(0,))])
    assert isinstance(many, Failure)
    assert many.error.endswith("have too many attention weights; name fewer `layers`")
    assert isinstance(few, Attention)
