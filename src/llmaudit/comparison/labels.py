"""What runs are called beside one another: as short as tells them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePath

from llmaudit.run import Run

__all__ = ["run_labels"]


def run_labels(runs: Sequence[Run]) -> tuple[str, ...]:
    """Name every run by its model; those that share a name by what they differ in as well.

    That is the quantization, the data type, the device, the seed and the start, in this order and no more of them than
    it takes. Runs that share all of these are numbered.
    """
    found = [_model(run) for run in runs]
    for part in (_quantization, _dtype, _device, _seed, _start):
        found = _further(found, [part(run) for run in runs])
    counts = Counter(found)
    return tuple(
        f"{label} #{1 + found[:place].count(label)}" if counts[label] > 1 else label
        for place, label in enumerate(found)
    )


def _further(labels: Sequence[str], parts: Sequence[str]) -> list[str]:
    """Add a part where it tells runs of one label apart."""
    differing = {
        label for label in labels if len({part for each, part in zip(labels, parts, strict=True) if each == label}) > 1
    }
    return [f"{label}, {part}" if label in differing else label for label, part in zip(labels, parts, strict=True)]


def _model(run: Run) -> str:
    if run.model is None:
        return "no model"
    # A path says where a model lies, which differs between machines; its last part says what it is.
    name = run.model.name
    is_path = name.startswith((".", "/", "~")) or name.endswith(".gguf")
    return PurePath(name).name.removesuffix(".gguf") or name if is_path else name


def _of_model(name: str) -> Callable[[Run], str]:
    return lambda run: str((run.model and getattr(run.model, name)) or f"no {name}")


_quantization, _dtype, _device = map(_of_model, ("quantization", "dtype", "device"))


def _seed(run: Run) -> str:
    return f"seed {run.seed}"


def _start(run: Run) -> str:
    return run.started[:19].replace("T", " ")
