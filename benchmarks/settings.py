"""What the command line asks for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PARTS", "Settings", "parse"]

PARTS = ("generate", "likelihood", "mixed", "tokenization", "overhead", "startup")


@dataclass(frozen=True, slots=True)
class Settings:
    """One run of the comparison."""

    model: str
    quick: bool
    parts: tuple[str, ...]
    """In the order of PARTS."""
    repetitions: int
    data: Path | None
    """Folder of CrowS-Pairs, where the user names one."""


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Read the command line; ends the process with a message where it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Compare llmaudit's speed with its peers."
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, the same rows")
    parser.add_argument(
        "--model",
        metavar="NAME",
        default="smollm2-135m-instruct",
        help="as llmaudit's --model, with weights on this machine (default: %(default)s)",
    )
    parser.add_argument(
        "--only", metavar="PART,...", type=_parts, default=PARTS, help=f"run these parts only: {', '.join(PARTS)}"
    )
    parser.add_argument(
        "--repetitions",
        metavar="N",
        type=_count,
        default=3,
        help="how often each contender is timed (default: %(default)s); fewer than 3 is a trial, not a measurement",
    )
    parser.add_argument("--data", metavar="FOLDER", type=Path, help="where crows_pairs_anonymized.csv is")
    given = parser.parse_args(arguments)
    return Settings(given.model, given.quick, given.only, given.repetitions, given.data)


def _parts(text: str) -> tuple[str, ...]:
    asked = text.split(",")
    if unknown := [name for name in asked if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not a part; say one or more of {','.join(PARTS)}")
    return tuple(name for name in PARTS if name in asked)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of repetitions; say 3 or more")
    return int(text)
