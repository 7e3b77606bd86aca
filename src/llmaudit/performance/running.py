"""Launches, run one after the other on a device that is quiet; one that crashes or hangs costs itself only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from llmaudit.engines.launches import LaunchSpec, Outcome

__all__ = ["Runner", "Waiting", "run_launches"]


class Runner(Protocol):
    """Whatever runs one launch: a process, or in a unit check a record of one."""

    def __call__(self, spec: LaunchSpec) -> Outcome:
        """Run one launch; it never raises for what goes wrong in it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long to wait for a quiet device before a launch."""

    quiet: float = 0.1
    """Share of the machine that others may use, in [0, 1]."""
    seconds: float = 10.0
    """Wait at most so long for a quiet device, then launch on a loud one; the result tells."""


def run_launches(specs: Iterable[LaunchSpec], run: Runner, waiting: Waiting) -> Iterator[Outcome]:
    """Run launches in their order, each on a quiet device if one can be had."""
    raise NotImplementedError
