"""The one thing that a kind subclasses, and what it is given and gives back."""

from __future__ import annotations

import datetime
import inspect
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from llmaudit.engines.base import Engine, Variant
from llmaudit.engines.quantization import check_quantization
from llmaudit.exhibits import Bars, Curve, Curves, Figure, Heatmap, Intervals, Panel, Scatter, Setting, Table
from llmaudit.scorers.base import Scorer
from llmaudit.types import Better, Estimate, Request, Sample

__all__ = [
    "SCALES",
    "Audit",
    "AuditParams",
    "Bars",
    "CheckParams",
    "Context",
    "Curve",
    "Curves",
    "Expected",
    "Figure",
    "Heatmap",
    "Intervals",
    "Margin",
    "MarginParams",
    "Measurement",
    "Metric",
    "Name",
    "Panel",
    "Scatter",
    "Setting",
    "Skipped",
    "Spec",
    "Table",
    "drift_name",
    "share_of",
    "two_per_cell",
]

#: Names that pytest can select with -k and that no shell or node id trips over.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$")]


class Spec(BaseModel):
    """A mapping of the suite language: typed, frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, strict=True)


def _written_date(value: object) -> object:
    # pydantic would read a bare number as seconds since 1970.
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return value
    raise ValueError(f"expected a date as YYYY-MM-DD, got {value!r}")


class Skipped(Spec):
    """Why something is not run."""

    reason: str = Field(min_length=1)
    """Shown wherever the check would be."""


class Expected(Spec):
    """A finding that is known and accepted until a date: a waiver."""

    reason: str = Field(min_length=1)
    """Why the finding is accepted."""
    expires: Annotated[datetime.date, Field(strict=False), BeforeValidator(_written_date)]
    """The day from which on the waiver is an error, as YYYY-MM-DD."""


_SHARE = re.compile(r"(\d+(?:\.\d+)?) ?%")
_SHARE_TEXT = StringConstraints(pattern=rf"^{_SHARE.pattern}$")


def share_of(text: str) -> float:
    """Read a share such as `10 %` as a number: 0.1. Raises ValueError for what is none."""
    found = _SHARE.fullmatch(text)
    if found is None:
        raise ValueError(
            f"expected a number greater than 0, or a share of the baseline's value as '10 %', got {text!r}"
        )
    return float(found[1]) / 100


def _usable_margin(value: object) -> object:
    if isinstance(value, str):
        if not 0 < share_of(value) <= 1:
            raise ValueError(f"expected a share above 0 % and up to 100 %, got {value!r}")
    elif isinstance(value, int | float) and not isinstance(value, bool) and not value > 0:
        raise ValueError(f"expected a number greater than 0, got {value}")
    return value


#: Units that have an end -> how long their scale is, which is also the whole that a share can change by.
SCALES = {"proportion": 1.0, "share of prompts": 1.0, "%": 100.0, "points": 50.0}

#: How much worse than a baseline a metric may be: in its own unit, or a share of the baseline's value.
Margin = Annotated[
    Annotated[float, Field(allow_inf_nan=False)] | str,
    BeforeValidator(_usable_margin, json_schema_input_type=Annotated[float, Field(gt=0)] | Annotated[str, _SHARE_TEXT]),
]


class MarginParams(Spec):
    """The margin that a suite gives a metric wherever a check of it declares none."""

    margin: Margin
    """How much worse than a baseline the metric may be: a number in its unit, or a share such as `10 %`."""
    why: str = Field(min_length=1)
    """The reason for the margin, written before the result was seen."""


class CheckParams(Spec):
    """One check: the limit of a metric."""

    max: float | None = Field(default=None, allow_inf_nan=False)
    """The metric must lie below this; for a signed difference, its size must."""
    min: float | None = Field(default=None, allow_inf_nan=False)
    """The metric must lie above this."""
    margin: Margin | None = None
    """How much worse than a baseline the metric may be: a number in its unit, or a share of the baseline's value such
    as `10 %`. Used where a baseline is given."""
    why: str = ""
    """The reason for the limit, written before the result was seen."""
    role: Literal["confirmatory", "exploratory"] = "confirmatory"
    """An exploratory check is measured and reported, and never fails a run."""
    on_inconclusive: Literal["fail", "warn"] = "fail"
    """What an inconclusive verdict does to the run."""
    skip: Skipped | None = None
    xfail: Expected | None = None

    @model_validator(mode="after")
    def _has_a_limit(self) -> CheckParams:
        if self.max is None and self.min is None and self.margin is None and self.role == "confirmatory":
            raise ValueError("a confirmatory check needs a limit: max, min or margin (or role: exploratory)")
        if self.max is not None and self.min is not None:
            if self.min > self.max:
                raise ValueError(f"min {self.min:g} is above max {self.max:g}: nothing could pass")
            if isinstance(self.margin, float) and self.margin > self.max - self.min:
                raise ValueError(
                    f"margin {self.margin:g} is larger than the whole range from min {self.min:g} to max {self.max:g}:"
                    " the limits would fail before it"
                )
        return self


class VariantParams(Spec):
    """Another model, or the audited one in another form."""

    model: str | None = Field(default=None, min_length=1)
    """A folder, a .gguf file, an alias or a hub id; the audited model where left out."""
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    quantization: Annotated[str, AfterValidator(check_quantization)] | None = None
    """int8, nf4, fp4 or nf4-double by bitsandbytes; rtn4, rtn2-g64 and the like: rounding, simulated."""

    @model_validator(mode="after")
    def _something(self) -> VariantParams:
        if self == VariantParams.model_construct():
            raise ValueError("says nothing: give a model, a dtype or a quantization")
        return self

    def __str__(self) -> str:
        """As a reader of the report needs it: `model gpt2, quantization nf4`."""
        return ", ".join(f"{name} {value}" for name, value in self.model_dump(exclude_none=True).items())

    def variant(self) -> Variant:
        """As the engine is asked for it."""
        return Variant(self.model, self.dtype, self.quantization)


class AuditParams(Spec):
    """The keys that every audit has, whatever its kind."""

    kind: str
    """Which experiment this is."""
    question: str | None = None
    """The question in words, for the report; the kind's own where left out."""
    checks: dict[Name, CheckParams] = Field(min_length=1)
    """Metric name -> limit. A facet follows a dot; the bare name is the worst facet."""
    skip: Skipped | None = None
    xfail: Expected | None = None
    variants: dict[Name, VariantParams] = Field(default={})
    """Name -> another model or form of this one, which is asked the same; `drift.NAME.METRIC` is what it changes."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric means; the words that the report prints."""

    description: str
    unit: str
    better: Better
    deterministic: bool = False


@dataclass(frozen=True, slots=True)
class Measurement:
    """What an audit found: plain data, from which every later page is made."""

    estimates: Mapping[str, Estimate]
    """Metric name -> estimate, for every name in the audit's `metrics`."""
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    scores: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    """Scorer name -> one number per sample, in the order of the requests; None where a sample was not scored."""
    evidence: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Metric name -> indices of the samples that show it best, the worst first."""
    notes: tuple[str, ...] = ()
    """Sentences that a reader must know."""


class Context(Protocol):
    """What an audit is given to run in."""

    @property
    def engine(self) -> Engine:
        """The engine of the model under audit."""

    @property
    def smoke(self) -> bool:
        """Whether only to prove that everything runs: nothing is judged. Requests are thinned out by `answer`."""

    @property
    def progress(self) -> Callable[[int, int], None]:
        """Called with (done so far, to do in all) by an audit that does its own work; `answer` calls it itself."""

    def answer(self, requests: Iterable[Request], engine: Engine | None = None) -> list[Sample]:
        """Have requests answered, with progress shown and tokens counted; by the model under audit if none is named."""

    def open_tokenizer(self, model: str) -> Engine:
        """Return an engine that answers Tokenize with the tokenizer of another model."""

    def open_model(self, variant: Variant) -> Engine:
        """Return the engine of another model, or of this one in another form; it is closed when the audit has run.

        Raises ModelError where it cannot be had.
        """


P = TypeVar("P", bound=AuditParams)


class Audit(ABC, Generic[P]):
    """A kind of experiment: its first docstring line is its question.

    A subclass names its `kind`, its parameters (`Params`) and the request types it `needs`, and implements `metrics`,
    `requests` and `measure`. All three are pure: the same parameters and seed give the same requests, the same samples
    give the same measurement. An audit that must own the clock or a second model overrides `run`.
    """

    kind: ClassVar[str]
    Params: ClassVar[type[AuditParams]]
    needs: ClassVar[frozenset[type[Request]]]
    #: Whether the kind compares the variants itself: else every metric has a drift under each of them.
    compares_variants: ClassVar[bool] = False
    #: Whether the kind measures time or memory: beside other workers it would measure them too, and is skipped.
    exclusive: ClassVar[bool] = False
    #: What the experiment cannot tell: printed in every report.
    limitations: ClassVar[tuple[str, ...]] = ()

    def __init__(self, params: P, *, scorers: Mapping[str, Scorer], seed: int = 0) -> None:
        self.params = params
        self.scorers = scorers
        self.seed = seed

    @property
    def question(self) -> str:
        """The question in words."""
        doc = inspect.getdoc(type(self)) or ""
        return self.params.question or doc.partition("\n")[0]

    @property
    @abstractmethod
    def metrics(self) -> Mapping[str, Metric]:
        """Every metric that this audit measures, facets included, known before anything runs."""

    @property
    def offered(self) -> Mapping[str, Metric]:
        """Every metric that a check may name: the kind's own, and what each variant changes of them."""
        own = self.metrics
        if self.compares_variants:
            return own
        changes = ((name, variant, metric) for variant in self.params.variants for name, metric in own.items())
        return {**own, **{drift_name(variant, name): _changed(variant, metric) for name, variant, metric in changes}}

    @abstractmethod
    def requests(self) -> Iterator[Request]:
        """Yield the requests, in a fixed order."""

    @abstractmethod
    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Turn samples into estimates."""

    def settings(self) -> Sequence[Setting]:
        """The settings that a reader needs to repeat the experiment."""
        skipped = {"kind", "question", "checks", "skip", "xfail"}
        values: dict[str, Any] = self.params.model_dump(mode="json", exclude=skipped, exclude_none=True)
        found = [Setting(name, str(value)) for name, value in values.items() if isinstance(value, str | int | float)]
        return found + [Setting(f"variant {name}", str(params)) for name, params in self.params.variants.items()]

    def problems(self) -> Mapping[str, str]:
        """Metric name -> why its check cannot be decided by this design: said before anything runs."""
        return {}

    def undecidable(self) -> Mapping[str, str]:
        """What `problems` says, of the changes under variants too."""
        own = self.problems()
        named = [] if self.compares_variants else list(self.params.variants)
        return {**own, **{drift_name(variant, name): why for variant in named for name, why in own.items()}}

    def run(self, context: Context) -> tuple[Measurement, Sequence[Sample]]:
        """Have the requests answered and measure."""
        samples = context.answer(self.requests())
        return self.measure(samples), samples


def drift_name(variant: str, metric: str) -> str:
    """What the change of a metric under a variant is called."""
    return f"drift.{variant}.{metric}"


def _changed(variant: str, metric: Metric) -> Metric:
    return replace(metric, description=f"change under {variant}: {metric.description}")


def two_per_cell(requests: Iterable[Request]) -> Iterator[Request]:
    """Yield the first two requests of every cell of the design (a combination of factors): what a smoke run asks."""
    seen: Counter[tuple[tuple[str, object], ...]] = Counter()
    for request in requests:
        cell = tuple(sorted(request.factors.items()))
        seen[cell] += 1
        if seen[cell] <= 2:
            yield request
