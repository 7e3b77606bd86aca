"""The decode loop: greedy as transformers has it, samples that depend on nothing but their own key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from llmaudit.engines.hf.engine import HFEngine
from llmaudit.engines.hf.generation import Decoded, Decoder, Job
from llmaudit.engines.hf.memory import Budget
from llmaudit.engines.hf.noise import row_key
from llmaudit.types import Completion, Failure, Generate, Request, Sampling

CPU = torch.device("cpu")
PROMPTS = (
    "In most offices, women are known for",
    "The",
    "When the shift ended, the older adults on the crew",
    "men are",
    "The teacher said that the students in the room had read",
)
GREEDY = Sampling(temperature=0, max_new_tokens=16)


class Counting:
    """Passes calls on and remembers the shapes of their inputs."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.shapes: list[tuple[int, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, **inputs: Any) -> Any:
        self.shapes.append(tuple(inputs["input_ids"].shape))
        return self.model(**inputs)

    @property
    def prefills(self) -> list[tuple[int, ...]]:
        return [shape for shape in self.shapes if shape[1] > 1]


@pytest.fixture(scope="module")
def tokenizer(tiny: Any) -> Any:
    return tiny.byte_level()


@pytest.fixture(scope="module")
def reference(tiny: Any, llama_folder: Path) -> Any:
    return tiny.reference(llama_folder)


def decode(
    model: Any, tokenizer: Any, jobs: Sequence[Job], *, rows: int = 64, ends: frozenset[int] = frozenset({0})
) -> dict[int, Decoded]:
    with torch.inference_mode():
        decoder = Decoder(model, ends=ends, tokenizer=tokenizer, rows=Budget("rows", rows), device=CPU)
        found = [decoded for finished in decoder.run(jobs) for decoded in finished]
    assert sorted(decoded.index for decoded in found) == sorted(job.index for job in jobs)
    return {decoded.index: decoded for decoded in found}


def job(tokenizer: Any, index: int, prompt: str, sampling: Sampling = GREEDY, sample: int = 0) -> Job:
    return Job(index, tuple(tokenizer(prompt)["input_ids"]), sampling, row_key(0, prompt, sample))


def by_transformers(model: Any, tokenizer: Any, prompts: Sequence[str], tokens: int) -> list[list[int]]:
    """Generate greedily in one left-padded batch, by model.generate; the end token cut off."""
    tokenizer.padding_side, tokenizer.pad_token = "left", tokenizer.eos_token
    batch = tokenizer(list(prompts), return_tensors="pt", padding=True)
    out = model.generate(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        do_sample=False,
        max_new_tokens=tokens,
        pad_token_id=0,
    )
    rows: list[list[int]] = out[:, batch["input_ids"].shape[1] :].tolist()
    return [row[: row.index(0)] if 0 in row else row for row in rows]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("Llama", {}),
        ("GPT2", {}),
        ("Gemma", {"head_dim": 8}),
        ("Qwen2", {}),
        ("GPTNeoX", {}),
        ("Mistral", {"sliding_window": 6}),
        ("Gemma3Text", {"head_dim": 8, "sliding_window": 6, "layer_types": ["sliding_attention", "full_attention"]}),
    ],
)
@pytest.mark.parametrize("rows", [64, 2])
def test_greedy_is_what_transformers_generates(tiny: Any, name: str, changes: dict[str, Any], rows: int) -> None:
    # Prompts of mixed lengths, in one batch and in a batch of two that rows join and leave. The sliding windows are
    # shorter than every prompt but one, as Gemma 3's is shorter than a long chat.
    folder = tiny.folder(tiny.config(name, **changes))
    model, tokenizer = tiny.reference(folder), tiny.byte_level()
    expected = by_transformers(model, tokenizer, PROMPTS, 16)
    found = decode(model, tokenizer, [job(tokenizer, n, prompt) for n, prompt in enumerate(PROMPTS)], rows=rows)
    assert [list(found[number].tokens) for number in range(len(PROMPTS))] == expected


def test_greedy_through_the_engine_is_the_same_text(llama: HFEngine, reference: Any, tokenizer: Any) -> None:
    expected = by_transformers(reference, tokenizer, PROMPTS, 16)
    found = dict(llama.run([Generate(prompt, "c", GREEDY) for prompt in PROMPTS]))
    for number, (prompt, tokens) in enumerate(zip(PROMPTS, expected, strict=True)):
        completion = found[number]
        assert isinstance(completion, Completion)
        # Decoded behind the prompt, since half a character at the seam belongs to neither alone.
        whole = tokenizer.decode([*tokenizer(prompt)["input_ids"], *tokens])
        assert prompt + completion.text == whole
        assert completion.prompt == prompt


def samples(tokenizer: Any) -> list[Job]:
    settings = (
        Sampling(temperature=0.8, max_new_tokens=20),
        Sampling(temperature=1.2, top_p=0.9, max_new_tokens=7),
        Sampling(top_k=5, max_new_tokens=12),
        Sampling(temperature=0, max_new_tokens=9),
    )
    return [
        job(tokenizer, 100 * number + sample, prompt, settings[sample % len(settings)], sample)
        for number, prompt in enumerate(PROMPTS)
        for sample in range(8)
    ]


@pytest.fixture(scope="module")
def expected_samples(reference: Any, tokenizer: Any) -> dict[int, Decoded]:
    return decode(reference, tokenizer, samples(tokenizer), rows=64)


@pytest.mark.parametrize("rows", [1, 3, 17])
def test_samples_do_not_depend_on_the_rows_of_a_batch(
    reference: Any, tokenizer: Any, expected_samples: dict[int, Decoded], rows: int
) -> None:
    assert decode(reference, tokenizer, samples(tokenizer), rows=rows) == expected_samples


def test_samples_do_not_depend_on_their_order(
    reference: Any, tokenizer: Any, expected_samples: dict[int, Decoded]
) -> None:
    jobs = samples(tokenizer)
    order = torch.randperm(len(jobs), generator=torch.Generator().manual_seed(1)).tolist()
    assert decode(reference, tokenizer, [jobs[n] for n in order], rows=5) == expected_samples


def test_samples_do_not_depend_on_their_company(
    reference: Any, tokenizer: Any, expected_samples: dict[int, Decoded]
) -> None:
    some = samples(tokenizer)[3::7]
    found = decode(reference, tokenizer, some)
    assert found == {job.index: expected_samples[job.index] for job in some}


def test_samples_of_one_prompt_differ_and_those_of_one_stream_do_not(llama: HFEngine) -> None:
    drawn = Sampling(max_new_tokens=12)
    asked: list[Request] = [
        *(Generate("The", "c", drawn, sample=number) for number in range(5)),
        Generate("The", "c", drawn, sample=0, stream="The"),
        Generate("The", "c", drawn, sample=0, stream="another"),
        Generate("The", "another cluster", drawn, sample=0, factors={"group": "men"}),
    ]
    found = dict(llama.run(asked))
    texts = [response.text for response in found.values() if isinstance(response, Completion)]
    assert len(set(texts)) == 6
    assert found[0] == found[5] == found[7]
    assert found[0] != found[6]


def test_another_seed_gives_other_samples(tiny: Any, llama: HFEngine, llama_folder: Path) -> None:
    asked = [Generate("The", "c", Sampling(max_new_tokens=12), sample=number) for number in range(3)]
    assert list(tiny.engine(llama_folder).run(asked)) == list(llama.run(asked))
    assert list(tiny.engine(llama_folder, seed=1).run(asked)) != list(llama.run(asked))


def test_a_distinct_prompt_is_prefilled_once(reference: Any, tokenizer: Any) -> None:
    model = Counting(reference)
    sampling = Sampling(max_new_tokens=5)
    jobs = [job(tokenizer, 10 * n + s, prompt, sampling, s) for n, prompt in enumerate(PROMPTS) for s in range(10)]
    decode(model, tokenizer, jobs, ends=frozenset())
    assert [rows for rows, _ in model.prefills] == [len(PROMPTS)]
    # Fifty rows of five tokens in one batch: the prefill gives the first, four steps the others.
    assert len(model.shapes) - 1 == 4


def test_a_batch_holds_no_more_rows_than_it_may(reference: Any, tokenizer: Any) -> None:
    model = Counting(reference)
    decode(model, tokenizer, samples(tokenizer), rows=6)
    assert max(rows for rows, _ in model.shapes) == 6


def test_each_row_has_its_own_limit(reference: Any, tokenizer: Any) -> None:
    limits = [1, 7, 3, 12, 5]
    jobs = [job(tokenizer, n, PROMPTS[n], Sampling(max_new_tokens=limit)) for n, limit in enumerate(limits)]
    found = decode(reference, tokenizer, jobs, ends=frozenset())
    assert [found[n].drawn for n in range(5)] == limits
    assert [len(found[n].tokens) for n in range(5)] == limits
    assert {decoded.finish for decoded in found.values()} == {"length"}


def test_an_end_token_ends_a_text_and_is_not_part_of_it(reference: Any, tokenizer: Any) -> None:
    free = decode(reference, tokenizer, [job(tokenizer, 0, "The")], ends=frozenset())[0]
    end = free.tokens[4]
    first = free.tokens.index(end)
    found = decode(reference, tokenizer, [job(tokenizer, 0, "The")], ends=frozenset({end, 299}))[0]
    assert found.tokens == free.tokens[:first]
    assert (found.finish, found.drawn) == ("stop", first + 1)


def test_the_engine_knows_every_end_token_of_the_model(tiny: Any, llama: HFEngine, llama_folder: Path) -> None:
    # Chat models have several, in generation_config.json.
    asked = [Generate("The", "c", GREEDY)]
    ((_, free),) = llama.run(asked)
    assert isinstance(free, Completion)
    tokens = by_transformers(tiny.reference(llama_folder), tiny.byte_level(), ["The"], 16)[0]
    model = tiny.reference(llama_folder)
    model.generation_config.eos_token_id = [0, tokens[2]]
    ((_, found),) = tiny.engine(tiny.folder(model)).run(asked)
    assert isinstance(found, Completion)
    assert (found.finish, found.tokens) == ("stop", tokens.index(tokens[2]) + 1)
    assert free.text.startswith(found.text)


def test_a_stop_string_cuts_the_text_before_it(llama: HFEngine) -> None:
    ((_, free),) = llama.run([Generate("The", "c", GREEDY)])
    assert isinstance(free, Completion)
    stop = free.text[5:7]
    # Of several stop strings the first one in the text cuts, whichever is written first.
    settings = Sampling(temperature=0, max_new_tokens=16, stop=(free.text[9:12], stop, "never"))
    ((_, found),) = llama.run([Generate("The", "c", settings)])
    assert isinstance(found, Completion)
    assert found.text == free.text[: free.text.index(stop)]
    assert found.finish == "stop"
    assert found.tokens < free.tokens


def test_a_stop_string_of_one_row_leaves_the_others_alone(llama: HFEngine) -> None:
    plain = [Generate(prompt, "c", GREEDY) for prompt in PROMPTS]
    free = dict(llama.run(plain))
    first = free[0]
    assert isinstance(first, Completion)
    stopped = Generate(PROMPTS[0], "c", Sampling(temperature=0, max_new_tokens=16, stop=(first.text[3],)))
    found = dict(llama.run([stopped, *plain[1:]]))
    assert found[0] != free[0]
    assert {number: found[number] for number in range(1, 5)} == {number: free[number] for number in range(1, 5)}


def test_a_logit_bias_excludes_a_token(llama: HFEngine, reference: Any, tokenizer: Any) -> None:
    first = by_transformers(reference, tokenizer, ["The"], 1)[0][0]
    biased = Sampling(temperature=0, max_new_tokens=1, logit_bias=((first, -1e9),))
    plain, without = (
        response for _, response in llama.run([Generate("The", "c", GREEDY), Generate("The", "c", biased)])
    )
    assert isinstance(plain, Completion)
    assert isinstance(without, Completion)
    assert not plain.text.startswith(without.text)


def test_a_finished_row_that_waits_for_others_does_not_leave_the_context(tiny: Any, gpt2: HFEngine) -> None:
    # A prompt that fills the context but for its three tokens, among shorter ones: rows leave a few at a time, and the
    # positions of a finished row must not run past what the model has learned.
    tokenizer = tiny.byte_level()
    long = tokenizer.decode(tokenizer("women are known " * 40)["input_ids"][: tiny.context - 3])
    endless = ((0, -1e9),)  # no text ends by itself
    asked: list[Request] = [Generate(long, "c", Sampling(max_new_tokens=3, logit_bias=endless))]
    asked += [Generate(f"In {n}", "c", Sampling(max_new_tokens=30, logit_bias=endless)) for n in range(12)]
    found = dict(gpt2.run(asked))
    assert [type(found[number]) for number in range(13)] == [Completion] * 13


def test_too_long_for_the_context_is_a_failure_of_that_request_alone(tiny: Any, llama: HFEngine) -> None:
    asked: list[Request] = [
        Generate("women are known " * 40, "c", Sampling(max_new_tokens=3)),
        Generate("The", "c", Sampling(max_new_tokens=tiny.context)),
        Generate("The", "c", Sampling(max_new_tokens=3)),
    ]
    long, greedy_for_tokens, good = (dict(llama.run(asked))[number] for number in range(3))
    assert isinstance(long, Failure)
    assert "are more than the model's context of 96" in long.error
    assert isinstance(greedy_for_tokens, Failure)
    assert isinstance(good, Completion)


def test_an_empty_prompt_is_the_start_token(llama: HFEngine, tiny: Any) -> None:
    ((_, found),) = llama.run([Generate("", "c", GREEDY)])
    assert isinstance(found, Completion)
    assert found.prompt == tiny.end


def test_nothing_asked_nothing_answered(llama: HFEngine) -> None:
    assert list(llama.run([])) == []
