"""Facts of a model as metrics: they are exact, and there is one of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llmaudit.anatomy.language import BITS
from llmaudit.audit import Metric
from llmaudit.engines.anatomy import PARTS, Anatomy, TextReading
from llmaudit.types import Better, Estimate, Sample, Tokens

__all__ = ["MIB", "Examined", "fact_estimates", "fact_metrics"]

#: Bytes of a mebibyte.
MIB = 2**20
_NOT_TOLD = "the model does not tell"
_NO_TEMPLATE = "the tokenizer has no chat template"


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found by looking into the engine, beside what it answers."""

    anatomy: Anatomy | None = None
    cache_bytes: float | None = None
    """Really allocated per token."""
    readings: Sequence[TextReading] = ()
    """One per text."""
    memory: Mapping[str, int | str] = field(default_factory=dict)
    """Data type -> bytes allocated by weights, or why it could not be had."""


def _exact(description: str, unit: str, better: Better = "lower") -> Metric:
    return Metric(description, unit, better, deterministic=True)


_SIZES: Mapping[str, Metric] = {
    "parameters": _exact("number of parameters, shared ones once", "parameters"),
    "trainable_parameters": _exact("parameters that training would change, as loaded", "parameters"),
    "layers": _exact("number of layers", "layers"),
    "heads": _exact("query heads of a layer", "heads"),
    "kv_heads": _exact("heads of a layer with keys and values of their own", "heads"),
    "head_size": _exact("width of a head", "numbers"),
    "hidden_size": _exact("width of what layers pass on", "numbers"),
    "vocabulary_size": _exact("rows of the embedding matrix", "tokens", "higher"),
    "context_length": _exact("longest text that can be read", "tokens", "higher"),
    "tied_weights": _exact("whether the output matrix is the embedding matrix", "0 or 1"),
    "kv_cache_bytes": _exact("keys and values of a token, computed from the sizes", "bytes per token"),
    "kv_cache_measured": _exact("keys and values of a token, really allocated", "bytes per token"),
    "kv_cache_error": _exact("measured bytes over computed ones, minus 1: its size", "proportion"),
}
_TEXTS: Mapping[str, Metric] = {
    "chat_template_lossless": _exact(
        "whether every rendered turn holds its text and decodes back to itself", "0 or 1", "higher"
    ),
    "double_start": _exact("texts that get two start tokens, through tokenizer or template", "texts"),
    "special_tokens_split": _exact("special tokens that are not cut into their own id alone", "tokens"),
    "round_trip_failures": _exact("texts that do not decode to themselves", "texts"),
}


def fact_metrics(dtypes: Sequence[str]) -> dict[str, Metric]:
    """Every metric that is a fact."""
    return {
        **_SIZES,
        **{f"part_parameters.{part}": _exact(f"parameters: {part}", "parameters") for part in PARTS},
        **{f"memory_computed.{bits}": _exact(f"weights at {bits} bits each, computed", "MiB") for bits in BITS},
        **{f"memory_measured.{dtype}": _exact(f"weights in {dtype}, really allocated", "MiB") for dtype in dtypes},
        **_TEXTS,
    }


def fact_estimates(examined: Examined, tokenized: Sequence[Sample], dtypes: Sequence[str]) -> dict[str, Estimate]:
    """Estimate every fact; `tokenized` are the answers to Tokenize."""
    metrics = fact_metrics(dtypes)
    found = _sizes(examined) | _memory(examined, dtypes) | _texts(examined)
    pairs = [(getattr(s.request, "text", None), s.response) for s in tokenized]
    broken = [response.decoded != text for text, response in pairs if isinstance(response, Tokens)]
    lost = len(tokenized) - len(broken)
    found["round_trip_failures"] = f"{lost} texts could not be tokenized" if lost or not broken else sum(broken)
    counts = {"round_trip_failures": len(broken), "double_start": len(examined.readings)}
    counts["chat_template_lossless"] = len(examined.readings)
    return {name: _estimate(name, metric, found[name], counts.get(name, 1)) for name, metric in metrics.items()}


def _sizes(examined: Examined) -> dict[str, float | str | None]:
    anatomy = examined.anatomy
    if anatomy is None:
        names = (*_SIZES, *(f"part_parameters.{part}" for part in PARTS), "special_tokens_split")
        return dict.fromkeys(names)
    computed, measured = anatomy.cache_bytes_computed, examined.cache_bytes
    return {
        "parameters": anatomy.parameters,
        "trainable_parameters": anatomy.trainable,
        "layers": anatomy.layers,
        "heads": anatomy.heads,
        "kv_heads": anatomy.kv_heads,
        "head_size": anatomy.head_size,
        "hidden_size": anatomy.hidden_size,
        "vocabulary_size": anatomy.vocabulary_size,
        "context_length": anatomy.context_length,
        "tied_weights": float(anatomy.tied_weights),
        "kv_cache_bytes": computed,
        "kv_cache_measured": measured,
        "kv_cache_error": abs(measured / computed - 1) if measured is not None and computed else None,
        **{f"part_parameters.{part}": anatomy.parts[part] for part in PARTS},
        "special_tokens_split": sum(token.ids != (token.id,) for token in anatomy.special_tokens),
    }


def _memory(examined: Examined, dtypes: Sequence[str]) -> dict[str, float | str | None]:
    parameters = examined.anatomy.parameters if examined.anatomy else None
    found: dict[str, float | str | None] = {
        f"memory_computed.{bits}": parameters * bits / 8 / MIB if parameters is not None else None for bits in BITS
    }
    for dtype in dtypes:
        value = examined.memory.get(dtype)
        found[f"memory_measured.{dtype}"] = value / MIB if isinstance(value, int) else value
    return found


def _texts(examined: Examined) -> dict[str, float | str | None]:
    readings = examined.readings
    lossless = [reading.chat_lossless for reading in readings]
    doubled = [max(reading.start_tokens, reading.chat_start_tokens or 0) > 1 for reading in readings]
    return {
        "chat_template_lossless": _NO_TEMPLATE if None in lossless else float(all(lossless)) if lossless else None,
        "double_start": sum(doubled) if doubled else None,
    }


def _estimate(name: str, metric: Metric, value: float | str | None, n: int) -> Estimate:
    """A fact; words in place of a number say why there is none."""
    problem = _NOT_TOLD if value is None else value if isinstance(value, str) else None
    number = math.nan if value is None or isinstance(value, str) else float(value)
    return Estimate(
        metric=name,
        value=number,
        interval=None,
        unit=metric.unit,
        better=metric.better,
        n=n,
        clusters=n,
        deterministic=True,
        problem=problem,
    )
