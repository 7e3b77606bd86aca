"""What a launch is asked and what it answers: plain data that travels between two processes as JSON.

A launch is one fresh process of one model in one form. Times inside a process depend on each other (memory layout,
clocks, caches), so that the launch, not the repetition, is the unit of analysis (Kalibera and Jones 2013, "Rigorous
benchmarking in reasonable time", section 3; Georges et al. 2007, "Statistically rigorous Java performance evaluation").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from llmaudit.engines.base import EngineOptions
from llmaudit.types import Factor

__all__ = [
    "READY",
    "Ceilings",
    "Largest",
    "LaunchFailure",
    "LaunchResult",
    "LaunchSpec",
    "Outcome",
    "Repetition",
    "Shape",
    "Timed",
    "Workload",
    "beyond_context",
    "parse_outcome",
]

#: Suffix of the empty file beside the outcome that says: all is imported, and the launch waits for its turn.
READY = ".ready"


@dataclass(frozen=True, slots=True)
class Workload:
    """So many texts read side by side, and so many tokens written to each."""

    batch: int
    """Number of texts, at least 1."""
    prompt_tokens: int
    """Length of every text, at least 1."""
    new_tokens: int
    """Tokens written to every text, at least 1; the model's end token does not end it."""

    @property
    def name(self) -> str:
        """As a facet of a metric is written: `b4-p128-n32`."""
        return f"b{self.batch}-p{self.prompt_tokens}-n{self.new_tokens}"


def beyond_context(workload: Workload, context: int | None) -> str | None:
    """Why a workload is too long for a model that reads `context` tokens (None: no limit); None where it is not."""
    length = workload.prompt_tokens + workload.new_tokens
    if context is None or length <= context:
        return None
    return (
        f"{workload.prompt_tokens} prompt tokens and {workload.new_tokens} new ones are {length}; the model reads"
        f" {context} at most"
    )


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """What one launch is asked to do."""

    arm: str
    """Which of the compared forms this is."""
    number: int
    """Place in the order of all launches, from 0."""
    options: EngineOptions
    workloads: tuple[Workload, ...]
    """In the order in which they are to be timed."""
    repetitions: int = 5
    """How often each workload is timed once it is steady."""
    warm_ups: int = 5
    """How often it is run untimed at most, until it is steady."""
    threads: int | None = None
    """Threads of a product on the CPU; None leaves them to torch."""
    cache_lengths: tuple[int, ...] = ()
    """At how many tokens the key-value cache of one text is weighed."""
    ceilings: bool = False
    """Whether to measure what the device can do at most; takes about half a second."""
    largest: Workload | None = None
    """Of which workload the largest batch that fits is searched; its `batch` is where the search ends."""
    seed: int = 0

    def to_json(self) -> str:
        """As the launched process reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> LaunchSpec:
        """Read what `to_json` wrote."""
        plain: dict[str, Any] = json.loads(text)
        largest = plain["largest"]
        return cls(
            **{
                **plain,
                "options": EngineOptions(**plain["options"]),
                "workloads": tuple(Workload(**each) for each in plain["workloads"]),
                "cache_lengths": tuple(plain["cache_lengths"]),
                "largest": Workload(**largest) if largest else None,
            }
        )


@dataclass(frozen=True, slots=True)
class Repetition:
    """One run of a workload, timed."""

    ttft: float
    """Seconds from the prompt to the first new token of all texts."""
    steps: tuple[float, ...]
    """Seconds from each new token to the next: one fewer than there are new tokens."""
    seconds: float
    """The whole run by a clock of its own, from before the prompt to after the last token."""

    @property
    def tpot(self) -> float | None:
        """Seconds per output token after the first: (seconds - ttft) / (new tokens - 1); None for a single token."""
        return (self.seconds - self.ttft) / len(self.steps) if self.steps else None


@dataclass(frozen=True, slots=True)
class Timed:
    """One workload in one launch."""

    workload: Workload
    repetitions: tuple[Repetition, ...]
    """In the order in which they ran, all of them after the warm-up."""
    warm_ups: int
    """How many runs came before."""
    steady: bool
    """Whether the last runs of the warm-up agreed; if not, its bound ended it."""
    prompt_characters: int
    """Of all texts of the batch."""
    characters: int
    """Of what was written to all of them in one repetition: Unicode code points, special tokens left out."""
    bytes: int
    """The same in UTF-8."""
    energy: float | None = None
    """Joules per repetition, of all that the device's counter covers; None where nothing tells."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a model that its costs follow from."""

    layers: int
    heads: int
    """Query heads of a layer."""
    kv_heads: int
    """Heads of a layer with keys and values of their own."""
    head_size: int
    element_bytes: int
    """Of one number of the key-value cache."""

    @property
    def cache_bytes_per_token(self) -> int:
        """2 x layers x kv heads x head size x bytes: were every layer to keep every token."""
        return 2 * self.layers * self.kv_heads * self.head_size * self.element_bytes

    def attention_flops(self, context: int) -> int:
        """Operations by which one more token attends to `context` others: 4 x layers x heads x head size x context.

        Beside the 2 x parameters of its matrix products (Kaplan et al. 2020, "Scaling laws for neural language
        models", section 2.1, which counts heads x head size as d_attn).
        """
        return 4 * self.layers * self.heads * self.head_size * context


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The most that the device was seen to do, in this launch."""

    bandwidth: float
    """Bytes per second read from memory."""
    flops: float
    """Floating-point operations per second of a product of large matrices in the model's data type."""


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest batch that fits."""

    batch: int
    """0 where not even one text fits."""
    bound: Literal["memory", "limit", "time"]
    """What ended the search: a larger batch does not fit; or none was tried, at the search's limit or out of time."""
    tried: Mapping[int, bool] = field(default_factory=dict, hash=False)
    """Batch -> whether it fitted."""


@dataclass(frozen=True, slots=True)
class LaunchResult:
    """What a launch measured. None and a missing name mean that this machine cannot tell, never nothing."""

    arm: str
    number: int
    import_seconds: float
    """From the start of the process to all libraries imported, beside the others that are made ready with it."""
    load_seconds: float
    """From files to a model that is ready on its device; the files are in the system's cache from the second launch."""
    timed: tuple[Timed, ...]
    """One per workload that fits, in the order in which they ran."""
    unfit: tuple[Workload, ...] = ()
    """Those that the device's memory does not hold; where none fits, the launch is a LaunchFailure."""
    memory: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict, hash=False)
    """Step (`imported`, `loaded`, `peak`) -> name -> bytes. On a CPU `rss`, `uss`; on a GPU `tensors`, `allocator`,
    `process`, beside those of the host. `peak` is of the workloads, before any search for the largest batch."""
    parameters: int = 0
    parameter_bytes: int = 0
    """What parameters and buffers really hold, shared ones once, with what a quantizer keeps beside them."""
    cache: tuple[tuple[int, int], ...] = ()
    """(tokens, bytes of the key-value cache's tensors) at the lengths asked for."""
    shape: Shape | None = None
    """None where the model does not tell its sizes."""
    largest: Largest | None = None
    ceilings: Ceilings | None = None
    busy_before: float | None = None
    """Share of the processors, or of the GPU where that is more, that others used just before, in [0, 1]."""
    busy: float | None = None
    """Share of the machine's processors that others used while the workloads were timed, in [0, 1]."""
    others: tuple[str, ...] = ()
    """Other users of the device that were seen, in words."""
    facts: Mapping[str, Factor | None] = field(default_factory=dict, hash=False)
    """Device, threads, versions, clocks and limits."""
    remarks: tuple[str, ...] = ()
    """Sentences that a reader must know."""

    def to_json(self) -> str:
        """As the launching process reads it."""
        return json.dumps({"outcome": "result", **asdict(self)})


@dataclass(frozen=True, slots=True)
class LaunchFailure:
    """A launch that gave nothing."""

    arm: str
    number: int
    reason: Literal["crashed", "hung", "refused", "no memory"]
    """`refused`: it could not be asked, for the reason that `message` gives."""
    message: str
    """What happened, in words; nothing that a model wrote."""
    seconds: float = 0.0
    """How long it lasted."""

    def to_json(self) -> str:
        """As the launching process reads it."""
        return json.dumps({"outcome": "failure", **asdict(self)})


Outcome = LaunchResult | LaunchFailure


def parse_outcome(text: str) -> Outcome:
    """Read what `to_json` of a result or a failure wrote. Raises ValueError for anything else."""
    plain = json.loads(text)
    if not isinstance(plain, dict) or plain.get("outcome") not in {"result", "failure"}:
        raise ValueError("not the outcome of a launch")
    failed = plain.pop("outcome") == "failure"
    try:
        return LaunchFailure(**plain) if failed else _result(plain)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the outcome of a launch ({error})") from None


def _result(plain: dict[str, Any]) -> LaunchResult:
    largest, shape, ceilings = plain["largest"], plain["shape"], plain["ceilings"]
    tried = {int(batch): fitted for batch, fitted in largest["tried"].items()} if largest else {}
    return LaunchResult(
        **{
            **plain,
            "timed": tuple(_timed(each) for each in plain["timed"]),
            "unfit": tuple(Workload(**each) for each in plain["unfit"]),
            "cache": tuple((tokens, size) for tokens, size in plain["cache"]),
            "shape": Shape(**shape) if shape else None,
            "largest": Largest(**{**largest, "tried": tried}) if largest else None,
            "ceilings": Ceilings(**ceilings) if ceilings else None,
            "others": tuple(plain["others"]),
            "remarks": tuple(plain["remarks"]),
        }
    )


def _timed(plain: dict[str, Any]) -> Timed:
    repetitions = tuple(Repetition(**{**each, "steps": tuple(each["steps"])}) for each in plain["repetitions"])
    return Timed(**{**plain, "workload": Workload(**plain["workload"]), "repetitions": repetitions})
