"""The values that flow through an audit: requests, responses, samples, estimates, verdicts.

Everything here is frozen and holds builtins only, so that it can be hashed, stored and sent between processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

__all__ = [
    "Better",
    "Completion",
    "Estimate",
    "Factor",
    "Failure",
    "Generate",
    "Interval",
    "Likelihood",
    "ModelInfo",
    "NextToken",
    "NextTokens",
    "Request",
    "Response",
    "Sample",
    "Sampling",
    "Score",
    "Tokenize",
    "Tokens",
    "Verdict",
]

#: One level of one factor of the experiment's design.
Factor = str | int | float

#: Which direction of a metric is the good one; `zero` is a signed difference whose size is the harm.
Better = Literal["lower", "higher", "zero"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a completion is drawn."""

    temperature: float = 1.0
    """Divides the logits; 0 is greedy."""
    top_p: float = 1.0
    """Nucleus mass in (0, 1]; 1 keeps the whole vocabulary."""
    top_k: int = 0
    """Number of most likely tokens kept; 0 keeps the whole vocabulary."""
    max_new_tokens: int = 40
    stop: tuple[str, ...] = ()
    """Strings that end a completion; they are not part of its text."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token id, nats added to its logit) pairs."""


@dataclass(frozen=True, slots=True)
class Generate:
    """Ask for one completion of a prompt."""

    prompt: str
    cluster: str
    """The unit of analysis that this request belongs to."""
    sampling: Sampling = Sampling()
    sample: int = 0
    """Which of several completions of the same prompt this is."""
    stream: str = ""
    """Name of the random stream. Requests with the same stream and sample index draw the same noise (common random
    numbers), so that conditions that a model treats alike give identical text; empty means the prompt itself."""
    chat: bool = False
    """Whether the prompt is one user turn that goes through the model's chat template."""
    factors: Mapping[str, Factor] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Score:
    """Ask for the log-likelihood of a continuation after a context."""

    context: str
    """May be empty: the continuation is then scored from the start token on."""
    continuation: str
    cluster: str
    factors: Mapping[str, Factor] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class NextToken:
    """Ask for the distribution of the token after a prompt."""

    prompt: str
    cluster: str
    top: int = 10
    """How many of the most likely tokens to return."""
    factors: Mapping[str, Factor] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Tokenize:
    """Ask how a text is cut into tokens, special tokens left out."""

    text: str
    cluster: str
    factors: Mapping[str, Factor] = field(default_factory=dict, hash=False)


Request = Generate | Score | NextToken | Tokenize


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer to Generate."""

    text: str
    """The completion alone, without prompt, special tokens and stop string."""
    tokens: int
    """Number of tokens generated, the end token included."""
    finish: Literal["stop", "length"]
    """Whether the model ended the text (or a stop string did), or the token limit."""
    prompt: str
    """The prompt as the model saw it, chat template and special tokens included."""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The answer to Score."""

    logprob: float
    """Natural logarithm of the probability of the continuation: a sum over its tokens, in nats."""
    tokens: int
    """Number of tokens that were scored."""
    greedy: bool
    """Whether every token of the continuation was the most likely one."""


@dataclass(frozen=True, slots=True)
class NextTokens:
    """The answer to NextToken."""

    top: tuple[tuple[str, float], ...]
    """(token text, log-probability in nats), most likely first."""
    entropy: float
    """Shannon entropy of the whole distribution, in nats."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The answer to Tokenize."""

    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    """The tokens as the tokenizer spells them."""
    starts: tuple[int, ...]
    """Character offset in the text at which each token starts; empty where the tokenizer cannot tell."""
    unknown: int
    """Number of tokens that stand for something the vocabulary lacks."""
    byte_fallback: int
    """Number of tokens that are fragments of a character: bytes that are not valid UTF-8 on their own."""
    decoded: str
    """The text that decoding the ids gives back."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The answer to a request that could not be answered."""

    error: str


Response = Completion | Likelihood | NextTokens | Tokens | Failure


@dataclass(frozen=True, slots=True)
class Sample:
    """A request and its response."""

    request: Request
    response: Response


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What answers the requests, as the run records it. None means that it cannot be known."""

    name: str
    """The name that the user gave."""
    resolved: str
    """What the name stood for: a folder's or file's name, or a hub id."""
    engine: str
    revision: str | None = None
    sha256: str | None = None
    """SHA-256 over the weights, as hexadecimal digits."""
    parameters: int | None = None
    dtype: str | None = None
    quantization: str | None = None
    device: str | None = None
    facts: Mapping[str, Factor] = field(default_factory=dict, hash=False)
    """Further facts: vocabulary size, special tokens, context length."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float
    level: float
    """Coverage in (0, 1), simultaneous coverage where `method` says so."""
    method: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """One metric, measured."""

    metric: str
    """Name, with the facet after a dot: `sentiment_gap.women-men`."""
    value: float
    """The point estimate; NaN where nothing could be measured."""
    interval: Interval | None
    """None for a deterministic metric, and where the data allow none (`problem` says why)."""
    unit: str
    better: Better
    n: int
    """Number of samples that went in."""
    clusters: int
    """Number of clusters that went in."""
    missing: int = 0
    """Number of samples that could not be used."""
    deterministic: bool = False
    """Whether the value is exact for these stimuli, so that a point limit is honest."""
    p_value: float | None = None
    """Sign-flip permutation p of "differs from zero": reported beside the verdict, never used as the verdict."""
    effect_size: float | None = None
    """Hedges' g over paired clusters."""
    problem: str | None = None
    """Why this estimate cannot be judged, whatever its value."""
    cluster_values: Mapping[str, float] = field(default_factory=dict, hash=False)
    """The value of every cluster, from which the report and a later comparison compute."""
    details: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Further numbers behind the estimate, by name."""


class Verdict(StrEnum):
    """What a check concludes."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
