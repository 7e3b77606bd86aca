"""Is a sample the same whatever surrounds it? `python -m benchmarks.reproducibility`.

2,000 texts of 40 tokens are drawn 64 side by side, and again in another order and batch and in two processes; every
eighth of them 7 side by side, every fortieth alone. Every text that
differs is explained: at its first other token, the two best scores of the exponential race lie closer together than
the arithmetic of the layouts does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import torch

from benchmarks import table
from benchmarks.models import Models, load_models
from benchmarks.prompts import prompts
from llmaudit.engines.hf.generation import Decoded, Decoder, Job
from llmaudit.engines.hf.matmul import PackedWeights
from llmaudit.engines.hf.memory import Budget
from llmaudit.engines.hf.noise import exponential_scores, row_key
from llmaudit.types import Sampling

__all__: list[str] = []

_ROWS = 64
_SAMPLING = Sampling(temperature=0.8, max_new_tokens=40)

Tokens = dict[int, tuple[int, ...]]


def _jobs(models: Models, texts: int) -> list[Job]:
    asked = prompts()
    ids = [tuple(models.peer.tokenizer(prompt)["input_ids"]) for prompt in asked]
    return [
        Job(number, ids[number % len(ids)], _SAMPLING, row_key(0, asked[number % len(ids)], number // len(ids)))
        for number in range(texts)
    ]


def _decode(models: Models, jobs: Sequence[Job], rows: int) -> Tokens:
    device = torch.device(models.device)
    decoder = Decoder(
        models.peer.model,
        ends=frozenset(models.peer.ends),
        tokenizer=models.peer.tokenizer,
        rows=Budget("rows", rows),
        device=device,
    )
    # As the engine does: whole batches multiply by weights that are packed for them.
    with PackedWeights(models.peer.model, rows).used():
        return {done.index: _whole(done) for finished in decoder.run(jobs) for done in finished}


def _whole(done: Decoded) -> tuple[int, ...]:
    # -1 stands for the end token, which is not among the tokens.
    return (*done.tokens, -1) if done.finish == "stop" else done.tokens


def _half(name: str, texts: int, part: int) -> Tokens:
    """Run in a process of its own: every second text."""
    torch.set_num_threads(1)
    models = load_models(name, "float32")
    return _decode(models, _jobs(models, texts)[part::2], _ROWS)


def _compare(models: Models, jobs: Sequence[Job], label: str, one: Tokens, other: Tokens) -> None:
    by_index = {job.index: job for job in jobs}
    different = [index for index, tokens in other.items() if tokens != one[index]]
    same = len(other) - len(different)
    table.report(f"{label:<44} {same:>5} of {len(other)} texts identical ({same / len(other):.2%})")
    for index in different:
        table.report("    " + _explain(models, by_index[index], one[index], other[index]))


def _explain(models: Models, job: Job, one: tuple[int, ...], other: tuple[int, ...]) -> str:
    step = next(place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1])
    device = models.device
    before = torch.tensor([[*job.prompt, *one[:step]]], device=device)
    with torch.inference_mode():
        logits = models.peer.model(before).logits[:, -1].float() / _SAMPLING.temperature
    keys = torch.tensor([job.key], dtype=torch.int32, device=device)
    scores = exponential_scores(logits, keys, torch.tensor([step], dtype=torch.int32, device=device))[0]
    best = scores.topk(3).values.tolist()
    return (
        f"text {job.index}, token {step + 1}: the race ends {best[0]:.6f} to {best[1]:.6f}, {best[0] - best[1]:.1e}"
        f" apart (the third is {best[0] - best[2]:.1e} behind)"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reproducibility", description=__doc__)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--texts", type=int, default=2000)
    given = parser.parse_args()
    models = load_models(given.model, "float32")
    jobs = _jobs(models, given.texts)
    started = time.perf_counter()
    usual = _decode(models, jobs, _ROWS)
    table.progress(f"{len(usual)} texts in {time.perf_counter() - started:.0f} s")
    shuffled = random.Random(1).sample(jobs, len(jobs))  # noqa: S311 - an order, not a secret
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        halves = list(pool.map(_half, [given.model] * 2, [given.texts] * 2, (0, 1)))
    _compare(models, jobs, "split over two processes of one thread", usual, halves[0] | halves[1])
    _compare(models, jobs, "33 rows side by side, shuffled", usual, _decode(models, shuffled, 33))
    _compare(models, jobs, "7 rows side by side", usual, _decode(models, jobs[:: max(1, len(jobs) // 250)], 7))
    _compare(models, jobs, "one row at a time", usual, _decode(models, jobs[:: max(1, len(jobs) // 50)], 1))


if __name__ == "__main__":
    main()
