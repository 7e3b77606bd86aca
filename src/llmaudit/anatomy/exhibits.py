"""Tables and figures of a model's build and of how it looks at sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from llmaudit.anatomy.facts import MIB, Examined
from llmaudit.anatomy.language import BITS, DTYPES
from llmaudit.anatomy.looking import Array, Gaze
from llmaudit.engines.anatomy import Anatomy, TextReading
from llmaudit.exhibits import Bars, Curve, Curves, Figure, Heatmap, Panel, Table
from llmaudit.types import Attention, Estimate, Factor, ModelInfo, Sample

__all__ = ["build_figures", "build_tables", "looking_figures", "sentences_table", "similarity_figures"]

_Row = tuple[str | float | int | None, ...]
#: Marks of a space before a token, by byte-level BPE and SentencePiece.
_SPACES = str.maketrans({"Ġ": " ", "▁": " ", "Ċ": "↵"})


def build_tables(examined: Examined, info: ModelInfo | None, estimates: Mapping[str, Estimate]) -> list[Table]:
    """The model card, what the weights take, and what tokenizer and template do."""
    anatomy = examined.anatomy
    if anatomy is None:
        return []
    found = [_card(anatomy, info), _parts(anatomy), _memory(examined, estimates), _specials(anatomy)]
    return [*found, _starts(examined.readings)]


def build_figures(examined: Examined, estimates: Mapping[str, Estimate]) -> list[Figure]:
    """Parameters by part, and memory computed beside measured."""
    anatomy = examined.anatomy
    if anatomy is None:
        return []
    parts = tuple((part, count / 1e6) for part, count in anatomy.parts.items() if count)
    rows: list[tuple[str, float | None]] = []
    for bits in BITS:
        rows.append((f"{bits} {'bits' if bits > 1 else 'bit'}, computed", estimates[f"memory_computed.{bits}"].value))
        rows += [(f"{name}, measured", size / MIB) for name, size in _measured(examined) if DTYPES[name] == bits]
    return [
        Bars("Parameters by part", "millions of parameters", parts),
        Bars("Memory of the weights", "MiB", tuple(rows)),
    ]


def looking_figures(gaze: Gaze, attended: Sequence[Sample], estimates: Mapping[str, Estimate]) -> list[Figure]:
    """Attention over the layers, and maps of one sentence in the first and the last layer named."""
    curves = _over_layers(gaze, estimates)
    return [*([curves] if curves else []), *_maps(gaze, attended)]


def similarity_figures(embedded: Sequence[Sample], alike: Array) -> list[Figure]:
    """The map of how alike sentences are; none where one has no vector."""
    if not alike.size or not np.isfinite(alike).all():
        return []
    names = tuple(sample.request.cluster for sample in embedded)
    values = tuple(tuple(map(float, row)) for row in alike)
    return [Heatmap("Similarity of the sentences in the last layer", "cosine", names, names, values)]


def sentences_table(attended: Sequence[Sample], gaze: Gaze) -> list[Table]:
    """What was measured of the attention to every sentence; none where the model was not asked."""
    if not attended:
        return []
    columns = ("sentence", "text", "tokens", *(f"entropy, {layer}" for layer in gaze.layers))
    rows: list[_Row] = []
    for sample, entropies in zip(attended, gaze.values["attention_entropy"], strict=True):
        tokens = len(sample.response.pieces) if isinstance(sample.response, Attention) else None
        numbers = (None if math.isnan(value) else float(value) for value in entropies)
        rows.append((sample.request.cluster, getattr(sample.request, "text", ""), tokens, *numbers))
    note = (
        "Tokens with those that the tokenizer adds. The entropy is a share of the largest, mean over heads and tokens."
    )
    return [Table("Attention by sentence", columns, tuple(rows), note)]


def _card(anatomy: Anatomy, info: ModelInfo | None) -> Table:
    facts: dict[str, Factor | None] = {"model": info.name, "stands for": info.resolved} if info else {}
    facts |= anatomy.card
    facts |= {
        "parameters": anatomy.parameters,
        "layers": anatomy.layers,
        "heads of a layer": anatomy.heads,
        "key-value heads of a layer": anatomy.kv_heads,
        "width of a head": anatomy.head_size,
        "width of a layer's output": anatomy.hidden_size,
        "rows of the embedding matrix": anatomy.vocabulary_size,
        "context in tokens": anatomy.context_length,
        "output matrix": "the embedding matrix (tied)" if anatomy.tied_weights else "of its own",
    }
    if info:
        facts |= {"data type": info.dtype, "quantization": info.quantization or "none", "device": info.device}
    return Table("The model", ("fact", "value"), tuple(facts.items()), first=True)


def _parts(anatomy: Anatomy) -> Table:
    whole = anatomy.parameters or 1
    rows: list[_Row] = [(part, count, count / whole) for part, count in anatomy.parts.items()]
    rows.append(("all", anatomy.parameters, 1.0))
    note = "A matrix that two parts share counts once, as embedding. By the names of modules: what has no known name is"
    return Table("Parameters by part", ("part", "parameters", "share"), tuple(rows), f"{note} other.")


def _measured(examined: Examined) -> list[tuple[str, int]]:
    return [(name, size) for name, size in examined.memory.items() if isinstance(size, int)]


def _memory(examined: Examined, estimates: Mapping[str, Estimate]) -> Table:
    """Memory by data type; a width that no data type was named for is computed alone."""
    parameters = examined.anatomy.parameters if examined.anatomy else 0
    rows: list[_Row] = []
    for bits in BITS:
        computed = estimates[f"memory_computed.{bits}"].value
        named = [name for name in examined.memory if DTYPES[name] == bits]
        for name in named:
            size = examined.memory[name]
            if isinstance(size, int):
                rows.append((bits, name, computed, size / MIB, 8 * size / parameters if parameters else None, ""))
            else:
                rows.append((bits, name, computed, None, None, size))
        if not named:
            rows.append((bits, "", computed, None, None, "not asked for"))
    note = (
        "Measured are the storages of parameters, buffers and scales. Quantizers leave embeddings and norms in the data"
        " type of the session, so that a small model shrinks by less than its bits say."
    )
    columns = ("bits", "data type", "computed MiB", "measured MiB", "measured bits per parameter", "remark")
    return Table("Memory of the weights", columns, tuple(rows), note)


def _specials(anatomy: Anatomy) -> Table:
    # Some vocabularies reserve hundreds of them.
    shown = [token for token in anatomy.special_tokens if token.roles or token.ids != (token.id,)]
    rows = tuple(
        (", ".join(token.roles), token.text, token.id, "one" if token.ids == (token.id,) else str(list(token.ids)))
        for token in shown
    )
    further = len(anatomy.special_tokens) - len(shown)
    named = {role for token in anatomy.special_tokens for role in token.roles}
    absent = [role for role in ("bos_token", "eos_token", "pad_token", "unk_token") if role not in named]
    notes = [f"There is no {', no '.join(absent)}."] * bool(absent)
    notes += [f"{further} further ones without a role are cut into their own id."] * bool(further)
    return Table("Special tokens", ("role", "token", "id", "is cut into"), rows, " ".join(notes))


def _starts(readings: Sequence[TextReading]) -> Table:
    ways: list[tuple[str, list[int | None]]] = [
        ("by the tokenizer alone", [reading.start_tokens for reading in readings]),
        ("by the chat template", [reading.chat_start_tokens for reading in readings]),
        (
            "by the chat template, special tokens added once more",
            [reading.retokenized_start_tokens for reading in readings],
        ),
    ]
    rows: list[_Row] = []
    for way, counts in ways:
        known = [count for count in counts if count is not None]
        rows.append((way, len(known), sum(count == 1 for count in known), sum(count > 1 for count in known)))
    note = (
        "The last row is what a program gets that renders the template and then tokenizes as usual: it is not judged."
    )
    return Table("Start tokens", ("way", "texts", "with one", "with two or more"), tuple(rows), note)


def _over_layers(gaze: Gaze, estimates: Mapping[str, Estimate]) -> Curves | None:
    known = [(place, layer) for place, layer in zip(gaze.places, gaze.layers, strict=True) if place is not None]
    if not known:
        return None
    panels = []
    for name, axis in (
        ("attention_entropy", "entropy (share of the largest)"),
        ("first_token_attention", "on the first token"),
    ):
        found = [(place, layer, estimates[f"{name}.{layer}"]) for place, layer in sorted(known)]
        points = tuple((float(place + 1), *_point(estimate)) for place, _, estimate in found)
        panels.append(Panel(axis, (Curve("mean over sentences", points, tuple(layer for _, layer, _ in found)),)))
    return Curves("Attention by layer", "layer, counted from 1", tuple(panels))


def _point(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    interval = estimate.interval
    value = None if math.isnan(estimate.value) else estimate.value
    return (value, interval.low if interval else None, interval.high if interval else None)


def _maps(gaze: Gaze, attended: Sequence[Sample]) -> list[Figure]:
    """Attention to one sentence: the first that was answered."""
    answered = [(s.request.cluster, s.response) for s in attended if isinstance(s.response, Attention)]
    if not answered:
        return []
    sentence, attention = answered[0]
    names = tuple(
        f"{place} {piece.translate(_SPACES).strip()}" for place, piece in enumerate(attention.pieces, start=1)
    )
    wanted = {place: layer for layer, place in zip(gaze.layers, gaze.places, strict=True) if place is not None}
    found: list[Figure] = []
    for place in dict.fromkeys((min(wanted), max(wanted))):
        heads = np.asarray(attention.weights[attention.layers.index(place)], dtype=np.float64)
        seen = heads.mean(axis=0)
        # What comes later is not looked at: no number, and not a zero.
        values = tuple(
            tuple(float(value) if key <= query else None for key, value in enumerate(row))
            for query, row in enumerate(seen)
        )
        title = f"Attention to {sentence} in layer {place + 1}, mean over heads"
        found.append(Heatmap(title, "share of attention (rows look at columns)", names, names, values))
    return found
