"""Activation addition, against the same arithmetic done by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from llmaudit.engines.hf.directions import Directions, RowDirections, count_layers
from llmaudit.engines.hf.engine import HFEngine
from llmaudit.types import Completion, Direction, Failure, Generate, Sampling

CPU = torch.device("cpu")
PROMPT = "In most offices, women are"
GOOD, BAD = ("The work is well known", "The students read"), ("The shift ended", "They went home late")
TOWARD = Direction(1, GOOD, BAD, 2.0)
GREEDY = Sampling(temperature=0, max_new_tokens=8)


@pytest.fixture(scope="module", params=["Llama", "GPT2", "GPTNeoX"])
def folder(request: pytest.FixtureRequest, tiny: Any) -> Path:
    changes = {"num_key_value_heads": None} if request.param == "GPTNeoX" else {}
    changes = {name: value for name, value in changes.items() if value is not None}
    made: Path = tiny.folder(tiny.config(request.param, **changes))
    return made


@pytest.fixture
def engine(tiny: Any, folder: Path) -> HFEngine:
    made: HFEngine = tiny.engine(folder)
    return made


def texts(engine: HFEngine, requests: Sequence[Generate]) -> list[str]:
    found = dict(engine.run(requests))
    assert all(isinstance(response, Completion) for response in found.values())
    return [response.text for _, response in sorted(found.items()) if isinstance(response, Completion)]


def by_hand(model: Any, tokenizer: Any, direction: Direction, tokens: int) -> str:
    """Greedy decoding without a cache, with the direction added behind the prompt."""
    layers = next(part for part in model.modules() if isinstance(part, torch.nn.ModuleList) and len(part) == 2)
    layer = layers[direction.layer - 1]
    seen: list[torch.Tensor] = []

    def hidden(output: Any) -> Any:
        return output[0] if isinstance(output, tuple) else output

    def last(text: str) -> torch.Tensor:
        handle = layer.register_forward_hook(lambda _, __, output: seen.append(hidden(output)[0, -1]))
        model(torch.tensor([tokenizer(text)["input_ids"]]))
        handle.remove()
        return seen.pop()

    toward, away = ([last(text) for text in side] for side in (direction.toward, direction.away))
    difference = torch.stack(toward).mean(0) - torch.stack(away).mean(0)
    norm = torch.stack([*toward, *away]).norm(dim=1).mean()
    added = direction.strength * norm * difference / difference.norm()
    prompt = tokenizer(PROMPT)["input_ids"]
    ids = list(prompt)

    def steer(_: Any, __: Any, output: Any) -> Any:
        steered = hidden(output).clone()
        steered[:, len(prompt) :] += added
        return (steered, *output[1:]) if isinstance(output, tuple) else steered

    for _ in range(tokens):
        handle = layer.register_forward_hook(steer)
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        handle.remove()
    return str(tokenizer.decode(ids[len(prompt) :]))


@pytest.mark.parametrize("strength", [2.0, -2.0])
@pytest.mark.parametrize("layer", [1, 2])
def test_a_direction_is_added_as_by_hand(tiny: Any, folder: Path, layer: int, strength: float) -> None:
    # The end token would end a text before the others do.
    setting = replace(GREEDY, logit_bias=((0, -1e4),), direction=replace(TOWARD, layer=layer, strength=strength))
    found = texts(tiny.engine(folder), [Generate(PROMPT, "c", setting)])
    with torch.inference_mode():
        model = tiny.reference(folder)
        expected = by_hand(model, tiny.byte_level(), replace(TOWARD, layer=layer, strength=strength), 8)
    assert found == [expected.replace(tiny.end, "")] or tiny.end in expected


def test_rows_are_steered_each_in_its_own_way(engine: HFEngine) -> None:
    settings = [
        GREEDY,
        replace(GREEDY, direction=replace(TOWARD, strength=0.0)),
        replace(GREEDY, direction=TOWARD),
        replace(GREEDY, direction=replace(TOWARD, layer=2, strength=-3.0)),
    ]
    together = texts(engine, [Generate(PROMPT, "c", setting) for setting in settings])
    alone = [texts(engine, [Generate(PROMPT, "c", setting)])[0] for setting in settings]
    assert together == alone
    assert together[0] == together[1]
    assert together[0] not in together[2:]


def test_a_steered_row_leaves_its_batch_with_its_direction(engine: HFEngine) -> None:
    steered = replace(GREEDY, max_new_tokens=12, direction=TOWARD)
    mixed = [Generate(PROMPT, "c", replace(steered, max_new_tokens=n), n) for n in (2, 12, 3, 12)]
    mixed += [Generate(PROMPT, "c", replace(GREEDY, max_new_tokens=n), n) for n in (2, 9)]
    assert texts(engine, mixed) == [texts(engine, [request])[0] for request in mixed]


def test_texts_that_are_the_same_have_no_direction(engine: HFEngine) -> None:
    nowhere = replace(GREEDY, direction=Direction(1, GOOD, GOOD, 5.0))
    assert len(set(texts(engine, [Generate(PROMPT, "c", GREEDY), Generate(PROMPT, "c", nowhere)]))) == 1


@pytest.mark.parametrize(
    ("direction", "words"),
    [
        (replace(TOWARD, layer=0), "layer 0: the model has layers 1 to 2"),
        (replace(TOWARD, layer=3), "layer 3: the model has layers 1 to 2"),
        (replace(TOWARD, away=()), "texts to go away from"),
        (replace(TOWARD, away=("The " * 200,)), "the model's context"),
    ],
)
def test_a_direction_that_there_is_none_of_is_a_failure(engine: HFEngine, direction: Direction, words: str) -> None:
    (found,) = dict(engine.run([Generate(PROMPT, "c", replace(GREEDY, direction=direction))])).values()
    assert isinstance(found, Failure)
    assert words in found.error


def test_a_strength_is_a_length_in_norms_of_the_layer(tiny: Any, folder: Path) -> None:
    model, tokenizer = tiny.reference(folder), tiny.byte_level()
    directions = Directions(model, lambda text: tuple(tokenizer(text)["input_ids"]), CPU)
    one, three = directions.vector(replace(TOWARD, strength=1.0)), directions.vector(replace(TOWARD, strength=-3.0))
    assert torch.allclose(three, -3 * one)
    norms = []
    for text in (*GOOD, *BAD):
        with torch.inference_mode():
            seen: list[torch.Tensor] = []
            layer = directions.layers[0]
            handle = layer.register_forward_hook(
                lambda _, __, output, seen=seen: seen.append(output[0] if isinstance(output, tuple) else output)
            )
            model(torch.tensor([tokenizer(text)["input_ids"]]))
            handle.remove()
            norms.append(float(seen[0][0, -1].norm()))
    assert float(one.norm()) == pytest.approx(sum(norms) / 4, rel=1e-5)


def test_steered_rows_need_a_model_to_find_their_direction_in() -> None:
    with pytest.raises(ValueError, match="directions of their model"):
        RowDirections([TOWARD], None)


def test_a_model_that_hides_its_layers_has_none() -> None:
    class Hidden(torch.nn.Module):
        class config:  # noqa: N801 - as transformers names it
            num_hidden_layers = 2

            @classmethod
            def get_text_config(cls) -> Any:
                return cls

    assert count_layers(Hidden()) == 0


def test_no_hook_stays_behind(engine: HFEngine) -> None:
    assert texts(engine, [Generate(PROMPT, "c", replace(GREEDY, direction=TOWARD))])
    assert not any(module._forward_hooks for module in engine._loaded.model.modules())
