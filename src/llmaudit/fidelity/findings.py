"""From what the models answered to a measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from llmaudit.audit import Measurement
from llmaudit.fidelity.choices import Answers, ChoiceParams, choice_estimates
from llmaudit.fidelity.continuations import ContinuationParams, continuation_estimates
from llmaudit.fidelity.damage import Damage, damage_estimates
from llmaudit.fidelity.evidence import flip_evidence, parting_evidence
from llmaudit.fidelity.exhibits import figures, tables
from llmaudit.fidelity.running import Heard
from llmaudit.fidelity.sizes import Size, size_estimates
from llmaudit.fidelity.windows import Reading
from llmaudit.types import Estimate, Sample

__all__ = ["Findings"]


@dataclass(frozen=True, slots=True)
class Findings:
    """What the reference and the variants answered; of a variant that could not be had, the reason."""

    reference: Heard
    variants: Mapping[str, Heard | str]
    reading: Reading | None
    """How the documents were read; None where there are none."""
    items: Sequence[ChoiceParams]
    choose_by: Literal["total", "token"]
    continuations: ContinuationParams | None
    partings: Mapping[str, Mapping[str, int] | str]
    """Variant -> prompt -> how many tokens its continuation shares with the reference's."""
    drawn_in: tuple[str, str] | None
    """Data types of the reference's likelihoods and of its completions, where they differ."""
    seed: int

    def samples(self) -> list[Sample]:
        """What a reader should see, the reference's first."""
        heard = [self.reference, *(each for each in self.variants.values() if isinstance(each, Heard))]
        return [sample for each in heard for sample in each.samples]

    def measurement(self, texts: Sequence[Sample]) -> Measurement:
        """Measure; `texts` come before the other samples."""
        estimates = size_estimates(self.reference.size, self._sizes(), speed=self.reading is not None)
        samples = [*texts, *self.samples()]
        evidence: dict[str, tuple[int, ...]] = {}
        if self.reading is not None:
            estimates |= damage_estimates(self._damages(self.reading), self.reading, self.seed)
        if self.items:
            own, theirs = self._answers(self.reference), self._all_answers()
            estimates |= choice_estimates(self.items, own, theirs)
            evidence |= flip_evidence(self.items, own, theirs, samples, estimates)
        if self.continuations is not None:
            estimates |= continuation_estimates(self.continuations, self.partings)
            evidence |= parting_evidence(self.partings, samples, estimates)
        sizes = {"reference": self.reference.size, **self._sizes()}
        return Measurement(
            estimates,
            figures(estimates, self._simulated()),
            tables(estimates, sizes, self.reading, list(self.variants)),
            evidence=evidence,
            notes=self._notes(estimates),
        )

    def _sizes(self) -> dict[str, Size | str]:
        return {name: each if isinstance(each, str) else each.size for name, each in self.variants.items()}

    def _damages(self, reading: Reading) -> dict[str, Damage | str]:
        return {
            name: each if isinstance(each, str) else Damage.of(each.positions, reading.places)
            for name, each in self.variants.items()
        }

    def _answers(self, heard: Heard) -> Answers:
        return Answers.of(self.items, heard.samples, self.choose_by)

    def _all_answers(self) -> dict[str, Answers | str]:
        return {name: each if isinstance(each, str) else self._answers(each) for name, each in self.variants.items()}

    def _simulated(self) -> dict[str, bool]:
        return {name: isinstance(each, Heard) and each.size.footprint.simulated for name, each in self.variants.items()}

    def _notes(self, estimates: Mapping[str, Estimate]) -> tuple[str, ...]:
        skipped = [
            f"The variant {name} was skipped: {each}" for name, each in self.variants.items() if isinstance(each, str)
        ]
        clipped = sum(
            estimate.details.get("clipped at 0", 0.0)
            for name, estimate in estimates.items()
            if name.startswith("kl_mean.")
        )
        noise = (
            [f"Rounding made the divergence negative at {clipped:.0f} tokens; it counts as 0 there."] if clipped else []
        )
        drawn = (
            [
                f"The reference's continuations were drawn in {self.drawn_in[1]} and not in {self.drawn_in[0]}: where"
                " they part from a variant's, that may be the cause. Name the data type (--dtype) to draw in it."
            ]
            if self.drawn_in and self.continuations
            else []
        )
        remarks = [
            f"{name}: {remark}"
            for name, each in self.variants.items()
            if isinstance(each, Heard)
            for remark in each.remarks
        ]
        return (*skipped, *noise, *drawn, *remarks)
