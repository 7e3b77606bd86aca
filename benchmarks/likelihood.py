"""Log-likelihoods of CrowS-Pairs: llmaudit against lm-eval and the notebook loop, in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import combinations

from benchmarks import table
from benchmarks.breakdown import breakdown
from benchmarks.contest import Contender, Result, race
from benchmarks.crows import Pair, shares
from benchmarks.figures import Figure, Outcome, best, ratio
from benchmarks.floors import Machine, likelihood_floor
from benchmarks.machine import measure_machine, size_of
from benchmarks.models import Models
from benchmarks.peers import notebook
from benchmarks.peers.harness import Harness
from benchmarks.settings import Settings
from llmaudit.engines.base import Engine
from llmaudit.types import Likelihood, Score

__all__ = ["largest_difference", "likelihood"]

_BATCH_SIZES = (1, 16, 64)
#: The notebook loop does one sentence in so many, and so does `--quick` one pair.
_ONE_IN = 10
_PROFILED = 64

#: Of each contender, by repetition: the log-likelihoods in the order of the sentences.
Values = dict[str, dict[int, list[float]]]


def likelihood(models: Models, pairs: Sequence[Pair], settings: Settings) -> Outcome:
    """Run the job."""
    dealt = shares(pairs[::_ONE_IN] if settings.quick else pairs, settings.repetitions)
    harness = Harness(models.folder, models.device)
    values: Values = {}
    contenders = [_contender("llmaudit", partial(_llmaudit, models.engine), dealt, values)]
    for size in _BATCH_SIZES:
        ask = partial(harness.loglikelihoods, batch_size=size)
        contenders.append(_contender(f"lm-eval {size}", ask, dealt, values))
    tenth = [sentences[::_ONE_IN] for sentences in dealt]
    contenders.append(_contender("notebook", partial(notebook.loglikelihoods, models.peer), tenth, values))
    before = measure_machine(models)
    results = race("likelihood", contenders, settings.repetitions)
    harnesses = [results[f"lm-eval {size}"] for size in _BATCH_SIZES]
    figures = {
        "loglikelihood_vs_lm_eval_best": ratio(results["llmaudit"], best(harnesses)),
        "loglikelihood_vs_lm_eval_1": ratio(results["llmaudit"], harnesses[0]),
        "loglikelihood_max_difference": _difference(results["llmaudit"], harnesses, values),
    }
    machine = before.or_better(measure_machine(models))
    floor = _floor(models, machine, results["llmaudit"], dealt)
    return Outcome(figures, [*_differences(results, values), *_cross_check(results, values), *floor])


def largest_difference(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the largest difference between two runs over the same sentences, in nats."""
    return max(abs(one - other) for one, other in zip(ours, theirs, strict=True))


def _contender(
    name: str, ask: Callable[[Sequence[str]], list[float]], dealt: Sequence[Sequence[str]], values: Values
) -> Contender:
    def work(repetition: int) -> int:
        sentences = dealt[repetition]
        values.setdefault(name, {})[repetition] = ask(sentences)
        return len(sentences)

    return Contender(name, lambda: ask(dealt[0][:2]), work)


def _llmaudit(engine: Engine, sentences: Sequence[str]) -> list[float]:
    answers = dict(engine.run([Score("", sentence, "") for sentence in sentences]))
    return [_logprob(answers[index]) for index in range(len(sentences))]


def _logprob(response: object) -> float:
    if not isinstance(response, Likelihood):
        raise TypeError(f"the answer is {response}")
    return response.logprob


def _difference(llmaudit: Result, harnesses: Sequence[Result], values: Values) -> Figure:
    ran = [result for result in harnesses if result.failure is None]
    if llmaudit.failure is not None or not ran:
        failed = llmaudit if llmaudit.failure is not None else harnesses[0]
        return Figure(None, f"{failed.name} failed: {failed.failure}")
    sentences = sum(map(len, values["llmaudit"].values()))
    names = ", ".join(result.name for result in ran)
    largest = max(_between(llmaudit.name, result.name, values) for result in ran)
    return Figure(largest, f"over {sentences} sentences, against {names}")


def _differences(results: Mapping[str, Result], values: Values) -> list[str]:
    """Compare every two: lm-eval sums in float32, and differs from itself with the size of its batches."""
    ran = [name for name, result in results.items() if result.failure is None and name != "notebook"]
    return [
        f"likelihood: {one} and {other} differ by {_between(one, other, values):.2g} nats at most"
        for one, other in combinations(ran, 2)
    ]


def _between(one: str, other: str, values: Values) -> float:
    return max(largest_difference(numbers, values[other][repetition]) for repetition, numbers in values[one].items())


def _cross_check(results: Mapping[str, Result], values: Values) -> list[str]:
    """Compare with the notebook loop as well, a third way to the same numbers."""
    if any(results[name].failure is not None for name in ("llmaudit", "notebook")):
        return []
    differences = [
        largest_difference(values["llmaudit"][repetition][::_ONE_IN], theirs)
        for repetition, theirs in values["notebook"].items()
    ]
    return [f"likelihood: llmaudit and the notebook loop differ by {max(differences):.2g} nats at most"]


def _floor(models: Models, machine: Machine, llmaudit: Result, dealt: Sequence[Sequence[str]]) -> list[str]:
    if llmaudit.failure is not None:
        return []
    sentences = [sentence for share in dealt for sentence in share]
    tokens = sum(len(models.peer.tokenizer(sentence, add_special_tokens=False)["input_ids"]) for sentence in sentences)
    floor = likelihood_floor(machine, size_of(models.peer.model))
    table.progress("likelihood: a short run under the profiler")
    measured = len(sentences) / (llmaudit.rate * tokens)
    shares_of_time = breakdown(models.engine, [Score("", sentence, "") for sentence in sentences[:_PROFILED]])
    return [machine.line(models.dtype), floor.line("likelihood", measured), f"likelihood {shares_of_time}"]
