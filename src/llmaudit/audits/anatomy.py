"""Kind anatomy: what the model is made of, what it takes, and how it looks at a few sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field, model_validator

from llmaudit.anatomy.exhibits import (
    build_figures,
    build_tables,
    looking_figures,
    sentences_table,
    similarity_figures,
)
from llmaudit.anatomy.facts import Examined, fact_estimates, fact_metrics
from llmaudit.anatomy.language import Dtypes, Layers, Sentences, Texts, layer_name, place, variant_of
from llmaudit.anatomy.looking import (
    SIMILARITY,
    attention_estimates,
    attention_metrics,
    gaze_of,
    similarities,
    similarity_estimates,
)
from llmaudit.audit import Audit, AuditParams, Context, Measurement, Metric, Setting
from llmaudit.engines.anatomy import Anatomy
from llmaudit.engines.base import Anatomical
from llmaudit.errors import CapabilityError, ModelError
from llmaudit.stats import design_problem
from llmaudit.types import Attend, Attention, Embed, ModelInfo, Request, Sample, Tokenize

__all__ = ["AnatomyAudit"]


class AnatomyAudit(Audit["AnatomyAudit.Params"]):
    """What is the model made of, what does it take, and how does it look at a few sentences?

    The model card of the run, counted on the loaded weights: sizes are facts and exact. Attention and similarity are
    means over sentences, which are the unit. Sources: the attention sink, Xiao et al. 2024 (arXiv 2309.17453);
    anisotropy, Ethayarajh 2019 (EMNLP).
    """

    kind = "anatomy"
    needs = frozenset({Attend, Embed, Tokenize})
    limitations: ClassVar[tuple[str, ...]] = (
        "Sizes say what a model costs, and nothing of how well it answers.",
        "Attention weights are no explanation: other weights can give the same answer (Jain and Wallace 2019), and what"
        " they can be read for is disputed (Wiegreffe and Pinter 2019).",
        "A large share of attention on the first token is common and does no harm: heads rest there (Xiao et al. 2024)."
        " It lowers the entropy of attention without any look at the text.",
        "A few dimensions with large values can bring the cosine of any two sentences near 1 (Timkey and van Schijndel"
        " 2021): anisotropy is no measure of how well meanings are told apart.",
        "The computed cache counts every layer, every token and keys as wide as values: models with sliding windows or"
        " compressed keys keep less, which the measured one shows.",
        "Measured memory is that of the weights alone: activations, cache and libraries come on top.",
    )

    class Params(AuditParams):
        """The parameters of an anatomy audit."""

        kind: Literal["anatomy"]
        sentences: Sentences
        """Sentences for the maps of attention and similarity, three or more, short ones."""
        texts: Texts = Field(default=[])
        """Texts that tokenizer and chat template are tried on; the sentences where left out."""
        layers: Layers = Field(default=["first", "middle", "last"])
        """Layers whose attention is looked at: first, middle, last, or numbers from 1."""
        dtypes: Dtypes = Field(default=[])
        """Data types that the model is loaded in, one after the other, to measure what its weights take: float32,
        bfloat16, float16, int8, nf4, fp4, nf4-double."""

        @model_validator(mode="after")
        def _one_model(self) -> AnatomyAudit.Params:
            if self.variants and self.dtypes:
                raise ValueError(
                    "dtypes: loads forms of the audited model alone; leave it out where there are variants"
                )
            return self

        @property
        def layer_names(self) -> list[str]:
            """The layers as metrics name them."""
            return [layer_name(layer) for layer in self.layers]

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Sizes, memory and checks of the tokenizer; attention per layer; similarity of sentences."""
        return {**fact_metrics(self.params.dtypes), **attention_metrics(self.params.layer_names), **SIMILARITY}

    def requests(self) -> Iterator[Request]:
        """Texts to tokenize, then sentences to embed. Attention is asked for when the number of layers is known."""
        for number, text in enumerate(self.params.texts or self.params.sentences, start=1):
            yield Tokenize(text, f"text {number:02}", {"asked": "round trip"})
        for number, sentence in enumerate(self.params.sentences, start=1):
            yield Embed(sentence, f"sentence {number:02}", factors={"asked": "similarity"})

    def problems(self) -> Mapping[str, str]:
        """A limit on a mean over too few sentences cannot be decided; one on a fact can."""
        problem = design_problem(len(self.params.sentences))
        limited = {name for name, check in self.params.checks.items() if (check.max, check.min) != (None, None)}
        means = {name for name, metric in self.metrics.items() if not metric.deterministic}
        return dict.fromkeys(sorted(limited & means), problem) if problem else {}

    def run(self, context: Context) -> tuple[Measurement, Sequence[Sample]]:
        """Look into the model, ask it, and load it in other data types. Raises CapabilityError where it cannot be."""
        engine = context.engine
        if not isinstance(engine, Anatomical):
            raise CapabilityError(f"the engine {engine.info.engine} cannot look into its model")
        anatomy = engine.anatomy()
        cache = engine.cache_bytes_per_token()
        readings = engine.read_texts(self.params.texts or self.params.sentences)
        samples = [*context.answer(self.requests()), *context.answer(self._attends(self._places(anatomy)))]
        memory = {dtype: _allocated(dtype, anatomy, context) for dtype in self.params.dtypes}
        measured = self._measured(samples, Examined(anatomy, cache, readings, memory), engine.info)
        return measured, [_without_weights(sample) for sample in samples]

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Measure what the answers alone tell."""
        return self._measured(samples, Examined(), None)

    def settings(self) -> Sequence[Setting]:
        """What is looked at."""
        return [
            *super().settings(),
            Setting("sentences", str(len(self.params.sentences))),
            Setting("texts", str(len(self.params.texts or self.params.sentences))),
            Setting("layers", ", ".join(self.params.layer_names)),
            Setting("data types", ", ".join(self.params.dtypes) or "none but the session's"),
        ]

    def _attends(self, places: Sequence[int | None]) -> Iterator[Request]:
        known = tuple(sorted({place for place in places if place is not None}))
        for number, sentence in enumerate(self.params.sentences if known else [], start=1):
            yield Attend(sentence, f"sentence {number:02}", known, {"asked": "attention"})

    def _places(self, anatomy: Anatomy | None) -> list[int | None]:
        layers = (anatomy.layers if anatomy else None) or 0
        return [place(layer, layers) for layer in self.params.layers]

    def _measured(self, samples: Sequence[Sample], examined: Examined, info: ModelInfo | None) -> Measurement:
        tokenized, embedded, attended = (_answers(kind, samples) for kind in (Tokenize, Embed, Attend))
        gaze = gaze_of(attended, self.params.layer_names, self._places(examined.anatomy))
        alike = similarities(embedded)
        estimates = {
            **fact_estimates(examined, tokenized, self.params.dtypes),
            **attention_estimates(gaze),
            **similarity_estimates(embedded, alike),
        }
        figures = (
            *build_figures(examined, estimates),
            *looking_figures(gaze, attended, estimates),
            *similarity_figures(embedded, alike),
        )
        tables = (*build_tables(examined, info, estimates), *sentences_table(attended, gaze))
        return Measurement(estimates, figures, tables)


def _answers(kind: type[Request], samples: Sequence[Sample]) -> list[Sample]:
    return [sample for sample in samples if isinstance(sample.request, kind)]


def _allocated(dtype: str, anatomy: Anatomy, context: Context) -> int | str:
    """Bytes that the weights take in a data type, or why that cannot be said."""
    variant, info = variant_of(dtype), context.engine.info
    if variant.quantization is None and info.quantization is not None:
        return f"the session quantizes to {info.quantization}: full data types are measured without that"
    if variant.quantization is None and info.dtype == dtype:
        return anatomy.allocated_bytes
    try:
        engine = context.open_model(variant)
    except ModelError as error:
        return str(error)
    try:
        return engine.anatomy().allocated_bytes if isinstance(engine, Anatomical) else "the engine cannot look into it"
    finally:
        engine.close()


def _without_weights(sample: Sample) -> Sample:
    """A sample for the record, which holds no maps: as text they are most of a run's bytes."""
    if not isinstance(sample.response, Attention):
        return sample
    return replace(sample, response=replace(sample.response, weights=()))


@pytest.hookimpl
def pytest_llmaudit_audits() -> Sequence[type[Audit[Any]]]:
    """Offer this module's kind."""
    return [AnatomyAudit]
