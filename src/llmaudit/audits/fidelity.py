"""Kind fidelity: what another form of a model loses against the reference, token by token and answer by answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import BeforeValidator, Field, field_validator, model_validator

from llmaudit.audit import Audit, AuditParams, Context, Measurement, Metric, Setting, VariantParams
from llmaudit.engines.base import Engine
from llmaudit.errors import EngineError
from llmaudit.fidelity.choices import Choices, choice_metrics, choice_requests
from llmaudit.fidelity.continuations import (
    ContinuationParams,
    continuation_metrics,
    continuation_requests,
    parting,
)
from llmaudit.fidelity.damage import QUANTILES, damage_metrics
from llmaudit.fidelity.documents import DataParams, Document, Documents, named_documents
from llmaudit.fidelity.findings import Findings
from llmaudit.fidelity.running import Asking, Candidate, Heard, Together, check_vocabularies, comparable, compare
from llmaudit.fidelity.sizes import size_metrics
from llmaudit.fidelity.windows import Beginning, Reading, WindowParams, read_chunks, read_documents
from llmaudit.stats import MIN_BOOTSTRAP_CLUSTERS, design_problem
from llmaudit.types import Completion, Failure, Generate, Request, Sample, Score, Tokenize, Tokens

__all__ = ["Fidelity"]

#: What the model under audit is called where another one is the reference.
AUDITED = "model"
REFERENCE = "reference"
_UNITS = {"GB": 10**9, "MB": 10**6, "GiB": 2**30, "MiB": 2**20}


def _bytes(value: Any) -> Any:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(GB|MB|GiB|MiB)", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"expected a size such as 2 GB or 500 MB, got {value!r}")
    return int(float(found[1]) * _UNITS[found[2]])


class Fidelity(Audit["Fidelity.Params"]):
    """What does another form of the model lose?

    A reference against variants: other data types, quantized weights, other checkpoints. All read the same tokens; the
    document is the unit. They also answer the same items and continue the same prompts. Sources: divergence, llama.cpp
    (tools/perplexity); flips, Dutta et al. 2024 (arXiv 2407.09141).
    """

    kind = "fidelity"
    needs = frozenset({Tokenize, Score, Generate})
    compares_variants = True
    limitations: ClassVar[tuple[str, ...]] = (
        "Displacement is not direction (arXiv 2606.19558): divergence, agreement and perplexity measure how much a"
        " model changed, not whether for the worse; near the reference they do not rank variants by quality. They gate"
        " gross damage; flips of a task's items are needed to rank variants that are nearly lossless.",
        "The speed of a quantizer on a CPU is not its speed on a GPU, and one pass is no benchmark.",
        "llama.cpp's standard errors treat tokens as independent: ours are over documents (or chunks), and wider."
        " Chunks of one text are neighbours, and not fully independent either.",
        "Perplexity depends on the tokenizer, the window and the texts; only what shares all three can be compared.",
        "The reference is what it is compared with and no truth: one that was read from a quantized file, such as most"
        " GGUF files, has that file's losses already, and what is measured comes on top of them.",
        "Simulated rounding shows what fewer bits do to the predictions; its sizes are computed, and nothing gets"
        " faster.",
    )

    class Params(AuditParams):
        """The parameters of a fidelity audit."""

        kind: Literal["fidelity"]
        documents: Documents = Field(default={})
        """Genre -> texts; a bare list is one genre. The document is the unit."""
        data: DataParams | None = None
        """A file of documents in place of `documents`."""
        reference: VariantParams | None = None
        """The model that variants are compared with, in place of the audited one, which is then compared too."""
        window: WindowParams = "document"
        """`document`: each one whole, behind the start token; `llama.cpp`: its chunks of 512 tokens over the joined
        text, the second half of each scored; or {tokens, stride}: windows that overlap, as in transformers' guide."""
        choices: Choices = Field(default=[])
        """Multiple-choice items, answered by likelihood."""
        choose_by: Literal["total", "token"] = "total"
        """Whether options are compared by their log-likelihood, or by that per token."""
        continuations: ContinuationParams | None = None
        """Prompts that are continued greedily."""
        disk: Annotated[int, BeforeValidator(_bytes, json_schema_input_type=str)] = Field(default=2 * 10**9)
        """How much of the reference's predictions may be kept in a temporary file, such as 2 GB."""
        together: Together = "auto"
        """Whether the reference stays in memory beside a variant; `auto` asks how much memory is free."""

        @field_validator("variants")
        @classmethod
        def _distinct(cls, variants: dict[str, VariantParams]) -> dict[str, VariantParams]:
            seen: dict[VariantParams, str] = {}
            for name, variant in variants.items():
                if name in {REFERENCE, AUDITED}:
                    raise ValueError(f"{name!r} is what the report calls another model; give the variant another name")
                if variant in seen:
                    raise ValueError(f"{seen[variant]} and {name} are the same variant")
                seen[variant] = name
            return variants

        @model_validator(mode="after")
        def _complete(self) -> Fidelity.Params:
            if not self.variants and self.reference is None:
                raise ValueError("variants: needs at least one variant (or a reference to compare the model with)")
            if self.documents and self.data is not None:
                raise ValueError("data: the documents are in the suite already; give one of the two")
            if not self.all_documents and not self.choices and self.continuations is None:
                raise ValueError("needs documents (or data), choices or continuations")
            return self

        @property
        def all_documents(self) -> list[Document]:
            """The documents, wherever they come from."""
            return self.data.documents() if self.data is not None else named_documents(self.documents)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """What there are stimuli for, with a facet per variant; the bare name is the worst variant."""
        read = bool(self.params.all_documents)
        found = damage_metrics(self._names) if read else {}
        found |= choice_metrics(self._names) if self.params.choices else {}
        found |= continuation_metrics(self._names) if self.params.continuations else {}
        return found | size_metrics(self._names, speed=read)

    def requests(self) -> Iterator[Request]:
        """Cut the texts into tokens; then what the reference is asked."""
        yield from self._texts()
        yield from self._asked(REFERENCE)

    def problems(self) -> Mapping[str, str]:
        """Too few documents, items or prompts decide nothing; what is exact needs no number of them."""
        found: dict[str, str] = {}
        documents = len(self.params.all_documents)
        if documents and self.params.window != "llama.cpp":
            problem = design_problem(documents)
            found |= dict.fromkeys(damage_metrics(self._names), problem) if problem else {}
            if documents < MIN_BOOTSTRAP_CLUSTERS:
                few = f"design: {documents} documents, an interval of a percentile needs {MIN_BOOTSTRAP_CLUSTERS}"
                found |= {name: few for name in damage_metrics(self._names) if name.partition(".")[0] in QUANTILES}
        if problem := design_problem(len({item.cluster or item.question for item in self.params.choices})):
            found |= dict.fromkeys(choice_metrics(self._names), problem)
        if problem := design_problem(len(self.params.continuations.prompts) if self.params.continuations else 0):
            found |= dict.fromkeys(continuation_metrics(self._names), problem)
        return {name: why for name, why in found.items() if name in (m := self.metrics) and not m[name].deterministic}

    def run(self, context: Context) -> tuple[Measurement, Sequence[Sample]]:
        """Read with the reference, then with one variant after the other."""
        reference = context.open_model(self.params.reference.variant()) if self.params.reference else context.engine
        comparable(reference)
        check_vocabularies(reference, self._candidates, context)
        texts = context.answer(self._texts(), reference)
        reading = self._reading(texts, reference)
        names = (REFERENCE, *self._names)
        requests = {name: list(self._asked(name)) for name in names}
        asking = Asking(reading.spans if reading else (), requests, self.params.disk, self.params.together)
        own, heard = compare(reference, self._candidates, asking, context)
        findings = Findings(
            own,
            heard,
            reading,
            self.params.choices,
            self.params.choose_by,
            self.params.continuations,
            self._partings(own, heard, context, reference),
            _drawn_in(reference),
            self.seed,
        )
        return findings.measurement(texts), [*texts, *findings.samples()]

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """A comparison cannot be made from one model's samples. Raises NotImplementedError."""
        raise NotImplementedError("a comparison of models is measured where they are run")

    def settings(self) -> Sequence[Setting]:
        """What is compared, on how much text."""
        variants = [Setting(f"variant {name}", _said(params)) for name, params in self.params.variants.items()]
        window = self.params.window
        return [
            *super().settings(),
            Setting("reference", _said(self.params.reference) if self.params.reference else "the model under audit"),
            *variants,
            *(
                []
                if isinstance(window, str)
                else [Setting("window", f"{window.tokens} tokens, stride {window.stride}")]
            ),
            Setting("documents", str(len(self.params.all_documents))),
            Setting("items", str(len(self.params.choices))),
            Setting("prompts", str(len(self.params.continuations.prompts) if self.params.continuations else 0)),
        ]

    @property
    def _candidates(self) -> list[Candidate]:
        audited = [Candidate(AUDITED, None)] if self.params.reference else []
        return [*audited, *(Candidate(name, params.variant()) for name, params in self.params.variants.items())]

    @property
    def _names(self) -> list[str]:
        return [candidate.name for candidate in self._candidates]

    def _texts(self) -> Iterator[Request]:
        documents = self.params.all_documents
        if self.params.window == "llama.cpp" and documents:
            yield Tokenize("\n\n".join(each.text for each in documents), "all documents", {"part": "documents"})
            return
        for each in documents:
            yield Tokenize(each.text, each.name, {"part": "documents", "genre": each.genre})

    def _asked(self, model: str) -> Iterator[Request]:
        yield from choice_requests(self.params.choices, model)
        if self.params.continuations:
            yield from continuation_requests(self.params.continuations, model)

    def _reading(self, texts: Sequence[Sample], reference: Engine) -> Reading | None:
        """Cut the texts into spans; None where there are none."""
        if not texts:
            return None
        facts = reference.info.facts
        context = int(facts["context_length"]) if "context_length" in facts else None
        beginning = Beginning(comparable(reference).start, bool(facts.get("adds_start_token")), context)
        found: dict[str, tuple[str, tuple[int, ...]]] = {}
        for sample in texts:
            request, tokens = sample.request, sample.response
            if not isinstance(request, Tokenize) or not isinstance(tokens, Tokens) or not tokens.ids:
                why = tokens.error if isinstance(tokens, Failure) else "it has no tokens"
                raise EngineError(f"{request.cluster}: cannot be cut into tokens ({why})")
            found[request.cluster] = (request.text, tokens.ids)
        if self.params.window == "llama.cpp":
            return read_chunks(*next(iter(found.values())), beginning)
        return read_documents(self.params.window, found, beginning)

    def _partings(
        self, own: Heard, heard: Mapping[str, Heard | str], context: Context, reference: Engine
    ) -> dict[str, dict[str, int] | str]:
        """Variant -> prompt -> how many tokens its continuation shares with the reference's."""
        if self.params.continuations is None:
            return {}
        most = self.params.continuations.max_new_tokens
        mine = _tokens(own.samples, REFERENCE, context, reference)
        found: dict[str, dict[str, int] | str] = {}
        for name, each in heard.items():
            if isinstance(each, str):
                found[name] = each
                continue
            theirs = _tokens(each.samples, name, context, reference)
            found[name] = {prompt: parting(mine[prompt], theirs[prompt], most) for prompt in mine if prompt in theirs}
        return found


def _tokens(samples: Sequence[Sample], model: str, context: Context, engine: Engine) -> dict[str, tuple[int, ...]]:
    """Prompt -> its completion, in tokens of the reference."""
    texts = {s.request.cluster: s.response.text for s in samples if isinstance(s.response, Completion)}
    asked = [Tokenize(text, prompt, {"part": "completion", "model": model}) for prompt, text in texts.items()]
    answers = context.answer(asked, engine) if asked else []
    return {s.request.cluster: s.response.ids for s in answers if isinstance(s.response, Tokens)}


def _drawn_in(engine: Engine) -> tuple[str, str] | None:
    """Data types of an engine's likelihoods and of its completions, where they differ."""
    read, drawn = str(engine.info.dtype), str(engine.info.facts.get("sampling_dtype", engine.info.dtype))
    return None if read == drawn else (read, drawn)


def _said(params: VariantParams) -> str:
    return ", ".join(str(value) for value in (params.model, params.dtype, params.quantization) if value is not None)


@pytest.hookimpl
def pytest_llmaudit_audits() -> Sequence[type[Audit[Any]]]:
    """Offer this module's kind."""
    return [Fidelity]
