"""The values that flow through an audit: requests, responses, samples, estimates, verdicts.

Everything here is frozen and holds builtins only, so that it can be hashed, stored and sent between processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

__all__ = [
    "Attend",
    "Attention",
    "Better",
    "Completion",
    "Direction",
    "Embed",
    "Embedding",
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
    "Shift",
    "Tokenize",
    "Tokens",
    "Verdict",
]

#: One level of one factor of the experiment's design.
Factor = str | int | float

#: Which direction of a metric is the good one; `zero` is a signed difference whose size is the harm.
Better = Literal["lower", "higher", "zero"]


@dataclass(frozen=True, slots=True)
class Direction:
    """A direction of the residual stream, added to what a layer gives for every token drawn (activation addition).

    The direction is the difference of the mean representations of two lists of texts, at their last tokens (Rimsky et
    al. 2024, "Steering Llama 2 via contrastive activation addition", section 3).
    """

    layer: int
    """The layer whose output it is added to, counted from 1; it must be one of the model's."""
    toward: tuple[str, ...]
    away: tuple[str, ...]
    strength: float
    """Length of what is added, in units of the mean norm of the layer's output over those texts; may be negative."""


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
    """(token id, nats added to its logit before the temperature divides it) pairs."""
    word_bias: tuple[tuple[tuple[int, ...], float], ...] = ()
    """(token ids of a word, nats) pairs: the bias of a word is added to its first token, and to each further token
    only where the completion has just spelt the tokens before it. Words that share a token add it once, the largest."""
    direction: Direction | None = None


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
    each_token: bool = False
    """Whether to return the log-probability of every token beside their sum."""
    chat: bool = False
    """Whether the context is one user turn that goes through the model's chat template."""
    factors: Mapping[str, Factor] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class NextToken:
    """Ask for the distribution of the token after a prompt."""

    prompt: str
    cluster: str
    top: int = 10
    """How many of the most likely tokens to return."""
    words: tuple[tuple[str, ...], ...] = ()
    """Lists of words whose joint probability of coming next is asked for. A word counts by its first token, so it is
    written with the space that it would have after the prompt; tokens that two words share count once."""
    full: bool = False
    """Whether to return the whole distribution: as many numbers as the vocabulary has tokens."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token id, nats added to its logit) pairs."""
    factors: Mapping[str, Factor] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Tokenize:
    """Ask how a text is cut into tokens, special tokens left out."""

    text: str
    cluster: str
    factors: Mapping[str, Factor] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Embed:
    """Ask for the vector by which a layer of the model represents a text."""

    text: str
    cluster: str
    pooling: Literal["mean", "last"] = "mean"
    """`mean` over the tokens of the text, or its `last` token; start and end tokens of the tokenizer are left out."""
    layer: int = -1
    """Which layer's output: 0 is the token embeddings, 1 the first layer, -1 the last one (after the final norm)."""
    factors: Mapping[str, Factor] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Attend:
    """Ask how the attention heads of a model look at a text."""

    text: str
    cluster: str
    layers: tuple[int, ...] = ()
    """Which layers, counted from 0; empty means all of them."""
    factors: Mapping[str, Factor] = field(default_factory=dict, hash=False)


Request = Generate | Score | NextToken | Tokenize | Embed | Attend


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
    token_logprobs: tuple[float, ...] = ()
    """Log-probability of every token in nats, where that was asked for."""


@dataclass(frozen=True, slots=True)
class NextTokens:
    """The answer to NextToken."""

    top: tuple[tuple[str, float], ...]
    """(token text, log-probability in nats), most likely first."""
    entropy: float
    """Shannon entropy of the whole distribution, in nats."""
    mass: tuple[float, ...] = ()
    """Probability of each list of words that was asked for, in [0, 1]."""
    logprobs: tuple[float, ...] = ()
    """Log-probability of every token id in nats, where the whole distribution was asked for."""


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
    decoded: str | None
    """The text that decoding the ids gives back; None where the tokenizer cannot decode."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """The answer to Embed."""

    vector: tuple[float, ...]
    """As many numbers as the model's hidden size."""
    tokens: int
    """Number of tokens of the text."""


@dataclass(frozen=True, slots=True)
class Attention:
    """The answer to Attend."""

    pieces: tuple[str, ...]
    """The tokens that were looked at, those that the tokenizer adds included."""
    layers: tuple[int, ...]
    weights: tuple[tuple[tuple[tuple[float, ...], ...], ...], ...]
    """Weights in [0, 1], shape (layers, heads, queries, keys): how much of each earlier token a token takes in. The
    weights of one query sum to 1, but for models with attention sinks."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The answer to a request that could not be answered."""

    error: str


Response = Completion | Likelihood | NextTokens | Tokens | Embedding | Attention | Failure


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
    tokenizer: str | None = None
    """SHA-256 over which token has which number, as hexadecimal digits."""
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


class Shift(StrEnum):
    """What a comparison with a baseline concludes of one metric."""

    WORSE = "worse"
    EQUIVALENT = "equivalent"
    """Not worse by as much as the margin."""
    BETTER = "better"
    INCONCLUSIVE = "inconclusive"
