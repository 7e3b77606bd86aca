"""The engine that an OpenAI-compatible HTTP endpoint answers for: vLLM, TGI, SGLang, transformers serve."""

from __future__ import annotations

import difflib
import hashlib
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, Final

import httpx2

from llmaudit.engines.address import Address, Endpoint
from llmaudit.engines.base import EngineOptions
from llmaudit.engines.openai_client import WORKERS, Client
from llmaudit.engines.openai_probe import Findings, RefusedError, Route, probe
from llmaudit.errors import EngineError, ModelError
from llmaudit.types import (
    Completion,
    Failure,
    Generate,
    ModelInfo,
    NextToken,
    NextTokens,
    Request,
    Response,
    Sampling,
)

__all__ = ["OpenAIEngine"]

_PATHS: Final[dict[Route, str]] = {"completions": "completions", "chat": "chat/completions"}
#: Seconds for one request with all its retries: a server with a queue of sixteen takes minutes for one.
_PATIENCE = 600.0
#: Seconds for one request of the probe, and for starting the last of them.
_PROBE_PATIENCE = 60.0
_PROBE_SECONDS = 240.0
#: After so many requests in a row without any HTTP response the server counts as gone.
_LOST = 16
#: OpenAI itself refuses more; the text is cut here at every stop string anyway.
_MAX_STOPS = 4
_NO_IDS = "an endpoint does not tell the ids of its tokens: logit_bias is not offered"


class OpenAIEngine:
    """Answers with a model behind an OpenAI-compatible endpoint, which is probed before it is trusted."""

    def __init__(self, options: EngineOptions, *, transport: httpx2.BaseTransport | None = None) -> None:
        self._seed = options.seed
        self._name = options.model.removeprefix("openai:")
        if not self._name:
            raise ModelError("openai: names no model; give the name that the server knows, as openai:NAME")
        if options.quantization is not None or options.dtype != "auto":
            # Taken in silence, a variant would be the same model again, and nothing would have changed.
            raise ModelError(
                f"{options.model}: an endpoint serves its model as it is; leave dtype and quantization out"
            )
        self._client = Client(Address(_base_url(options)), transport)
        try:
            offered = self._client.models()
            self._findings = self._probe()
            self._check(offered)
        except BaseException:
            self._client.close()
            raise
        listed = ("yes" if self._name in offered else "no") if offered else "unknown"
        facts = {"endpoint": str(self._client.address), "probe.model_listed": listed, **self._findings.facts()}
        self.info = ModelInfo(options.model, self._name, "openai", facts=facts)
        self.capabilities: frozenset[type[Request]] = self._findings.capabilities

    @property
    def endpoint(self) -> Endpoint:
        """Where the model is served."""
        return Endpoint(self._client.address, self._name)

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """Answer concurrently, in the order in which the server finishes."""
        pool = ThreadPoolExecutor(WORKERS, "llmaudit-openai")
        try:
            futures = {pool.submit(self._answer, request): index for index, request in enumerate(requests)}
            lost = 0
            for future in as_completed(futures):
                response = future.result()
                lost = lost + 1 if isinstance(response, RefusedError) and response.status is None else 0
                if lost >= _LOST:
                    raise EngineError(f"the server stopped answering: {response}")
                yield futures[future], Failure(str(response)) if isinstance(response, RefusedError) else response
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _answer(self, request: Request) -> Response | RefusedError:
        try:
            match request:
                case Generate():
                    return self._generate(request)
                case NextToken(logit_bias=bias) if bias:
                    return Failure(_NO_IDS)
                case NextToken() if NextToken in self.capabilities:
                    return self._next(request.prompt, request.top, _PATIENCE)
                case _:
                    return Failure(f"an endpoint does not answer {type(request).__name__}")
        except RefusedError as refusal:
            return refusal
        except UnicodeEncodeError:
            return Failure("the prompt holds half a surrogate pair, which no request can carry")

    def _generate(self, request: Generate) -> Response:
        route: Route = "chat" if request.chat else "completions"
        findings = self._findings.routes[route]
        if findings.refusal is not None:
            other = "raw" if request.chat else "chat"
            return Failure(f"the endpoint does not answer /{_PATHS[route]}: use `prompt: {other}` ({findings.refusal})")
        if request.sampling.logit_bias or request.sampling.word_bias:
            return Failure(_NO_IDS)
        if request.sampling.direction is not None:
            return Failure("an endpoint does not let anybody into its layers: activation addition is not offered")
        if objection := findings.objection(request.sampling):
            return Failure(objection)
        seed = _request_seed(self._seed, request.stream or request.prompt, request.sample)
        return self._complete(route, request.prompt, request.sampling, seed, _PATIENCE)

    def _complete(self, route: Route, prompt: str, sampling: Sampling, seed: int, patience: float) -> Completion:
        asked = {"prompt": prompt} if route == "completions" else {"messages": [{"role": "user", "content": prompt}]}
        payload = {"model": self._name, **asked, **_sampling_fields(sampling), "seed": seed}
        return _completion(self._client.post(_PATHS[route], payload, patience), prompt, sampling)

    def _next(self, prompt: str, top: int, patience: float) -> NextTokens:
        # Temperature 1 and the whole vocabulary: some servers report log-probabilities after both are applied.
        sampling = Sampling(temperature=1.0, max_new_tokens=1)
        payload = {"model": self._name, "prompt": prompt, **_sampling_fields(sampling), "logprobs": top}
        found = _top_logprobs(self._client.post("completions", payload, patience))
        best = sorted(found, key=lambda pair: (-pair[1], pair[0]))[:top]
        # The endpoint gives the head of the distribution only; its entropy would be a guess about the tail.
        return NextTokens(tuple(best), math.nan)

    def _probe(self) -> Findings:
        end = time.monotonic() + _PROBE_SECONDS

        def patience() -> float:
            if time.monotonic() >= end:
                raise ModelError(
                    f"{self._client.address} is too slow to be tried out: the probe's few short completions took more"
                    f" than {_PROBE_SECONDS:g} s. Try again when the server is less busy"
                )
            return _PROBE_PATIENCE

        return probe(
            lambda route, prompt, sampling, seed: self._complete(route, prompt, sampling, seed, patience()),
            lambda prompt, top: self._next(prompt, top, patience()),
        )

    def _check(self, offered: tuple[str, ...]) -> None:
        refusals = {_PATHS[name]: route.refusal for name, route in self._findings.routes.items() if route.refusal}
        if len(refusals) < len(_PATHS):
            return
        told = "; ".join(f"/{path}: {refusal}" for path, refusal in refusals.items())
        if {401, 403} & {refusal.status for refusal in refusals.values()}:
            key = (
                "the key in OPENAI_API_KEY"
                if self._client.address.has_key
                else "requests without a key; set OPENAI_API_KEY"
            )
            raise ModelError(f"{self._client.address} refuses {key} ({told})")
        if offered and self._name not in offered:
            close = difflib.get_close_matches(self._name, offered, n=1, cutoff=0.4)
            hint = f"did you mean 'openai:{close[0]}'? " if close else ""
            raise ModelError(
                f"{self._client.address} has no model {self._name!r}: {hint}It offers: {', '.join(offered)} ({told})"
            )
        raise ModelError(
            f"{self._client.address} completes no text with model {self._name!r}. Is this the address up to and with"
            f" /v1, and the name that the server knows the model by? ({told})"
        )


def _base_url(options: EngineOptions) -> str:
    url = options.base_url or os.environ.get("OPENAI_BASE_URL", "").strip()
    if not url:
        raise ModelError(
            f"{options.model} needs an address: give --base-url http://HOST:PORT/v1 or set OPENAI_BASE_URL"
        )
    return url


def _request_seed(seed: int, stream: str, sample: int) -> int:
    """Return the 31-bit seed of one completion: servers keep it in a signed 32-bit integer."""
    digest = hashlib.blake2b(f"{seed}\x1f{stream}\x1f{sample}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) >> 1


def _sampling_fields(sampling: Sampling) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "max_tokens": sampling.max_new_tokens,
        "temperature": float(sampling.temperature),
        "top_p": float(sampling.top_p),
    }
    if sampling.stop:
        fields["stop"] = list(sampling.stop[:_MAX_STOPS])
    if sampling.top_k > 0:
        fields["top_k"] = sampling.top_k
    return fields


def _choice(body: Mapping[str, Any]) -> dict[str, Any]:
    choices = body.get("choices")
    if not (isinstance(choices, list) and choices and isinstance(choices[0], dict)):
        raise RefusedError("the answer holds no choice", 200)
    return choices[0]


def _completion(body: Mapping[str, Any], prompt: str, sampling: Sampling) -> Completion:
    choice = _choice(body)
    message = choice.get("message")
    text = message.get("content") if isinstance(message, Mapping) else choice.get("text")
    finish = choice.get("finish_reason")
    if not isinstance(text, str) or finish == "content_filter":
        raise RefusedError(f"the answer holds no complete text (finish_reason {finish!r})", 200)
    usage = body.get("usage")
    counted = usage.get("completion_tokens") if isinstance(usage, Mapping) else None
    tokens = counted if isinstance(counted, int) else len(text.split())
    # Some servers leave the stop string in the text, or do not know the parameter.
    ends = [place for stop in sampling.stop if (place := text.find(stop)) >= 0]
    if ends:
        return Completion(text[: min(ends)], tokens, "stop", prompt)
    full = finish == "length" or (finish is None and tokens >= sampling.max_new_tokens)
    return Completion(text, tokens, "length" if full else "stop", prompt)


def _top_logprobs(body: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return (token, log-probability) of the first token's candidates, from either of the two layouts in use."""
    logprobs: Any = _choice(body).get("logprobs")
    try:
        if "content" in logprobs:
            return [(str(entry["token"]), float(entry["logprob"])) for entry in logprobs["content"][0]["top_logprobs"]]
        return [(token, float(value)) for token, value in logprobs["top_logprobs"][0].items()]
    except (AttributeError, LookupError, TypeError, ValueError):
        raise RefusedError("the answer holds no log-probabilities", 200) from None
