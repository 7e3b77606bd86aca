"""Run the comparison: `python -m benchmarks`, or `tox run -e bench`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks import table
from benchmarks.crows import DataError, load_pairs
from benchmarks.figures import Figure, Outcome, last_line, missing
from benchmarks.settings import Settings, parse
from llmaudit.errors import LLMAuditError

__all__ = ["main"]

#: The parts that need the model in this process.
_WITH_MODEL = ("generate", "likelihood", "mixed")
#: Fewer repetitions have no median to speak of.
_ENOUGH = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit status, which says nothing about the targets."""
    settings = parse(arguments)
    table.report(table.title())
    outcomes: list[Outcome] = []
    try:
        if any(part in _WITH_MODEL for part in settings.parts):
            outcomes += _with_model(settings)
        if "tokenization" in settings.parts:
            from benchmarks.tokenization import tokenization  # noqa: PLC0415 - see _with_model

            outcomes.append(tokenization(settings.model, 1 if settings.quick else settings.repetitions))
        outcomes += _in_processes(settings)
    except (DataError, LLMAuditError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    _conclude(settings, outcomes)
    return 0


def _with_model(settings: Settings) -> list[Outcome]:
    # Read first: what is wrong with the data should be said before a model is loaded.
    pairs = load_pairs(settings.data) if "likelihood" in settings.parts else []
    # Imported here: torch and transformers take seconds, and the other parts run in processes of their own.
    from benchmarks.generate import generate  # noqa: PLC0415
    from benchmarks.likelihood import likelihood  # noqa: PLC0415
    from benchmarks.mixed import mixed  # noqa: PLC0415
    from benchmarks.models import load_models  # noqa: PLC0415

    sampling = load_models(settings.model, "auto")
    outcomes: list[Outcome] = []
    if "generate" in settings.parts:
        outcomes.append(generate(sampling, settings))
    if "likelihood" in settings.parts:
        # In a smaller type the batch layout alone moves likelihoods by more than the contenders may differ.
        scoring = sampling if sampling.dtype == "float32" else load_models(settings.model, "float32")
        outcomes.append(likelihood(scoring, pairs, settings))
    if "mixed" in settings.parts:
        outcomes.append(mixed(sampling, settings))
    return outcomes


def _in_processes(settings: Settings) -> list[Outcome]:
    outcomes: list[Outcome] = []
    if "overhead" in settings.parts:
        from benchmarks.overhead import overhead  # noqa: PLC0415 - see _with_model

        outcomes.append(overhead(settings.model))
    if "startup" in settings.parts:
        from benchmarks.startup import startup  # noqa: PLC0415 - see _with_model

        outcomes.append(startup(quick=settings.quick))
    return outcomes


def _conclude(settings: Settings, outcomes: Sequence[Outcome]) -> None:
    """Print the figures with their targets, the floors, and the line for machines."""
    measured: dict[str, Figure] = {}
    for outcome in outcomes:
        measured |= outcome.figures
    figures = missing(measured, f"left out by --only {','.join(settings.parts)}")
    for key, figure in figures.items():
        table.report(figure.line(key))
    if settings.repetitions < _ENOUGH:
        table.report(f"a trial: {settings.repetitions} repetitions are too few for a median")
    for outcome in outcomes:
        for line in outcome.lines:
            table.report(line)
    table.report(last_line(figures))


if __name__ == "__main__":
    sys.exit(main())
