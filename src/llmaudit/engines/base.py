"""What an engine is: whatever answers requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from llmaudit.engines.anatomy import Anatomy, TextReading
from llmaudit.types import ModelInfo, Request, Response

if TYPE_CHECKING:
    # httpx2 is needed only where there is a server.
    from llmaudit.engines.address import Endpoint

__all__ = ["Anatomical", "Engine", "EngineOptions", "Launchable", "Remarking", "Served", "Steerable", "Variant"]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the user asked for on the command line, in the ini file or in the environment."""

    model: str
    engine: str = "auto"
    """`auto` picks by the model's name: `openai` for `openai:NAME`, else `hf`."""
    dtype: str = "auto"
    device: str = "auto"
    revision: str | None = None
    quantization: str | None = None
    base_url: str | None = None
    """Address of an OpenAI-compatible server, up to and with `/v1`."""
    seed: int = 0
    batch_size: int | None = None
    """Rows that an in-process engine decodes side by side; None leaves it to the engine."""
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The project's own names for models: `[tool.llmaudit.models]` of its pyproject.toml."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Another model, or the same one in another form; None leaves a setting as it is in the session."""

    model: str | None = None
    dtype: str | None = None
    quantization: str | None = None


@runtime_checkable
class Engine(Protocol):
    """Answers requests, in whatever order and batches suit it."""

    @property
    def info(self) -> ModelInfo:
        """The model behind this engine, as the run records it."""

    @property
    def capabilities(self) -> frozenset[type[Request]]:
        """The request types that this engine answers; an audit that needs another is skipped with the reason."""

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Answer every request once.

        Yields (index into `requests`, response) as batches finish, in any order. A request that cannot be answered
        yields a Failure; only a fault that concerns all requests raises EngineError. The response to a request does
        not depend on the other requests of the call, but for the last digits of a number.
        """

    def close(self) -> None:
        """Free the model. The engine is not used afterwards; it may be closed again."""


@runtime_checkable
class Steerable(Protocol):
    """An engine that can bend what it draws; one without this can not."""

    @property
    def steering(self) -> frozenset[str]:
        """Which of the fields `logit_bias`, `word_bias` and `direction` of Sampling it honours."""


@runtime_checkable
class Launchable(Protocol):
    """An engine whose model another process of this machine can load again; no engine needs to be one."""

    @property
    def options(self) -> EngineOptions:
        """What the engine was made from."""


@runtime_checkable
class Remarking(Protocol):
    """An engine that may have something to say of how it answered; no engine needs to."""

    @property
    def remarks(self) -> Sequence[str]:
        """Sentences that a reader of the report must know."""


@runtime_checkable
class Served(Protocol):
    """An engine that stands for a server, which can be put under load; an engine in this process is none."""

    @property
    def endpoint(self) -> Endpoint:
        """Where the model is served."""


@runtime_checkable
class Anatomical(Protocol):
    """An engine that can look into its model; no engine needs to."""

    def anatomy(self) -> Anatomy:
        """Describe the model as it is loaded; nothing is computed with it."""

    def cache_bytes_per_token(self) -> float | None:
        """Bytes that the key-value cache of a text of some hundred tokens really takes, per token.

        None where the model keeps no cache that can be looked into.
        """

    def read_texts(self, texts: Sequence[str]) -> Sequence[TextReading]:
        """Say what tokenizer and chat template make of texts, one reading each."""
