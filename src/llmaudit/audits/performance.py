"""Kind performance: how fast a model is and what memory it takes, launch by launch, against other forms of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, StringConstraints, field_validator, model_validator

from llmaudit.audit import Audit, AuditParams, Context, Measurement, Metric, Setting, VariantParams
from llmaudit.engines.base import Engine, Launchable
from llmaudit.engines.launches import LaunchFailure, LaunchSpec, Outcome, Workload, beyond_context
from llmaudit.errors import CapabilityError, EngineError
from llmaudit.performance.estimates import absolute_estimates, absolute_metrics
from llmaudit.performance.exhibits import figures, tables
from llmaudit.performance.launches import Arm, Plan
from llmaudit.performance.load import LoadParams
from llmaudit.performance.observations import Observations
from llmaudit.performance.params import (
    Counts,
    Design,
    Hardware,
    NewTokens,
    Threads,
    cells,
    machine,
    refuse_limits_without_hardware,
    wrong_machine,
)
from llmaudit.performance.ratios import ratio_estimates, ratio_metrics
from llmaudit.performance.readings import ABSOLUTE
from llmaudit.performance.running import ProcessRunner, Waiting, Wanted, run_launches
from llmaudit.performance.scaling import scaling_estimates, scaling_metrics
from llmaudit.performance.serving import serving_metrics, serving_problems, unreachable_limits
from llmaudit.performance.under_load import measure_under_load
from llmaudit.stats import MIN_CLUSTERS
from llmaudit.types import Request, Sample

__all__ = ["Performance"]

#: What the model under audit is called, and what another one is that takes its place as the base.
AUDITED = "model"
REFERENCE = "reference"
#: Texts whose key-value cache is weighed, in tokens; those that the model can read.
_CACHE_LENGTHS = (32, 64, 128, 256, 512)
#: Keys that say how launches are made, or what is compared.
_OF_LAUNCHES = frozenset(
    {
        *("variants", "reference", "batch_sizes", "prompt_tokens", "new_tokens", "design", "threads", "launches"),
        *("repetitions", "quiet", "timeout", "hardware", "largest_batch"),
    }
)
#: An arm whose launches fail so often in a row is given up: its checks cannot be decided any more.
_PATIENCE = 3


class Performance(Audit["Performance.Params"]):
    """How fast is the model, what memory does it take, and how do other forms of it compare?

    Every launch is a fresh process and the unit of analysis; forms are launched in turns, in random order and its
    mirror, and compared by the ratio of their medians. Sources: launches as units, Georges et al. 2007 and Kalibera and
    Jones 2013; what to report, Hoefler and Belli 2015.
    """

    kind = "performance"
    needs: ClassVar[frozenset[type[Request]]] = frozenset()
    compares_variants = True
    exclusive = True
    limitations: ClassVar[tuple[str, ...]] = (
        "Times hold for this machine, these versions and these clocks; ratios between forms carry over to other"
        " machines only so far as those resemble this one.",
        "Prompts are pieces of one English text, cut to a fixed length, and the end token is ignored: what is timed is"
        " the work of a workload, not that of any user's mix of requests.",
        "The model is timed as transformers runs it, in one process without a server: continuous batching, queues and"
        " the network are not in it.",
        "Tokens per second are not comparable across tokenizers; characters and bytes per second are, for like texts.",
        "Utilisation is measured against what reading memory and a product of large matrices reached in the same run,"
        " not against the maker's figures.",
        "The process of the audit keeps its own copy of the model while launches run: the largest batch is the largest"
        " beside it.",
        "Launches follow each other on one machine: what a shared machine does for longer than the whole audit does not"
        " show in its intervals.",
    )

    class Params(AuditParams):
        """The parameters of a performance audit."""

        kind: Literal["performance"]
        reference: VariantParams | None = None
        """The model that others are compared with, in place of the audited one, which is then compared too."""
        batch_sizes: Counts = Field(default=[1])
        """Texts that are answered side by side."""
        prompt_tokens: Counts = Field(default=[64])
        """Lengths of the prompts."""
        new_tokens: NewTokens = Field(default=[16])
        """Tokens that are written to every prompt."""
        design: Design = "crossed"
        """`crossed`: every combination of the sizes; `one_at_a_time`: each size varied with the first of the others."""
        threads: Threads = Field(default=[])
        """Threads on a CPU: the first number is everybody's, and the model is compared with itself under the others."""
        launches: int = Field(default=10, ge=1)
        """Fresh processes per form."""
        repetitions: int = Field(default=3, ge=1)
        """How often each workload is timed in a launch, once it is steady."""
        quiet: float = Field(default=0.2, ge=0, le=1)
        """Share of the machine that others may use; where more is used in more than a tenth of the launches, times are
        not judged."""
        timeout: float = Field(default=120, gt=0, allow_inf_nan=False)
        """Seconds after which a launch is ended and counted as lost."""
        hardware: Hardware | None = None
        """The machine that limits on times hold for: part of its description, or a regular expression."""
        largest_batch: Annotated[int, Field(ge=1)] | None = None
        """Search the largest batch that fits into memory, up to this one."""
        load: LoadParams | None = None
        """A load on a served model, measured from the client's side, in place of launches."""
        prompts: list[Annotated[str, StringConstraints(min_length=1)]] = Field(default=[])
        """What the requests of a load ask, in turns."""

        @field_validator("variants")
        @classmethod
        def _distinct(cls, variants: dict[str, VariantParams]) -> dict[str, VariantParams]:
            seen: dict[VariantParams, str] = {}
            for name, variant in variants.items():
                if name in {REFERENCE, AUDITED} or name.startswith("threads_"):
                    raise ValueError(f"{name!r} is what the report calls another form; give the variant another name")
                if variant in seen:
                    raise ValueError(f"{seen[variant]} and {name} are the same variant")
                seen[variant] = name
            return variants

        @model_validator(mode="after")
        def _limits_hold_somewhere(self) -> Performance.Params:
            if self.load is None and self.prompts:
                raise ValueError("prompts: launches read a text of their own; leave prompts out, or give a load")
            if self.load is None:
                refuse_limits_without_hardware(self.checks, self.hardware)
                return self
            if not self.prompts:
                raise ValueError("load: needs prompts to ask")
            if idle := self.model_fields_set & _OF_LAUNCHES:
                raise ValueError(f"load: a served model is measured as it is; leave {', '.join(sorted(idle))} out")
            return self

        @property
        def workloads(self) -> tuple[Workload, ...]:
            """What is timed."""
            return cells(self.batch_sizes, self.prompt_tokens, self.new_tokens, self.design)

        @property
        def arms(self) -> tuple[Arm, ...]:
            """The forms that are launched, the base first."""
            threads = self.threads[0] if self.threads else None
            named = {AUDITED: Arm(AUDITED, threads=threads)}
            if self.reference is not None:
                named = {REFERENCE: Arm(REFERENCE, self.reference.variant(), threads), **named}
            named |= {name: Arm(name, each.variant(), threads) for name, each in self.variants.items()}
            named |= {f"threads_{count}": Arm(f"threads_{count}", threads=count) for count in self.threads[1:]}
            return tuple(named.values())

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Absolute numbers of each form under each workload, ratios to the base, how times grow; or those of a load."""
        if self.params.load is not None:
            return serving_metrics(self.params.load)
        workloads = self.params.workloads
        found = ratio_metrics(self._arms[1:], workloads) if len(self._arms) > 1 else {}
        found |= absolute_metrics(self._arms, workloads, largest=self.params.largest_batch is not None)
        return found | scaling_metrics(self._arms, workloads)

    def requests(self) -> Iterator[Request]:
        """Nothing is asked of the session's engine: launches do the work."""
        return iter(())

    def problems(self) -> Mapping[str, str]:
        """Limits on anything but exact numbers cannot be decided by too few launches."""
        if self.params.load is not None:
            own = unreachable_limits(self.params.load, self.params.checks)
            return own | serving_problems(self.params.load)
        launches = self.params.launches
        if launches >= MIN_CLUSTERS:
            return {}
        problem = f"design: {launches} launches, a t interval needs {MIN_CLUSTERS}: add launches"
        limited = {name for name, check in self.params.checks.items() if (check.max, check.min) != (None, None)}
        return {name: problem for name, m in self.metrics.items() if name in limited and not m.deterministic}

    def run(self, context: Context) -> tuple[Measurement, Sequence[Sample]]:
        """Launch one form after the other, or put the load on, and measure. Raises CapabilityError and EngineError."""
        load, prompts = self.params.load, self.params.prompts
        if load is not None:
            found = measure_under_load(context.engine, load, prompts, self.seed, context.progress, smoke=context.smoke)
            return found, ()
        specs = list(self.plan(context.engine, smoke=context.smoke).specs())
        outcomes: list[Outcome] = []
        for outcome in self.launched(specs, partial(_wanted, outcomes)):
            outcomes.append(outcome)
            context.progress(len(outcomes), len(specs))
        seen = Observations.gathered([spec.arm for spec in specs], outcomes, self.params.quiet)
        return self.measured(seen), ()

    def launched(self, specs: Sequence[LaunchSpec], wanted: Wanted) -> Iterator[Outcome]:
        """Make launches that are wanted, each in a process of its own on a quiet machine."""
        runner, waiting = ProcessRunner(self.params.timeout), Waiting(quiet=self.params.quiet)
        return run_launches(specs, runner, waiting, wanted=wanted)

    def measure(self, samples: Sequence[Sample]) -> Measurement:
        """Speed cannot be told from answers. Raises NotImplementedError."""
        raise NotImplementedError("speed is measured where launches run")

    def measured(self, seen: Observations) -> Measurement:
        """Turn launches into estimates."""
        params, arms, workloads = self.params, self._arms, self.params.workloads
        estimates = ratio_estimates(seen, arms[0], arms[1:], workloads, self.seed) if arms[1:] else {}
        estimates |= absolute_estimates(seen, arms, workloads, largest=params.largest_batch is not None)
        estimates |= scaling_estimates(seen, arms, workloads, self.seed)
        if problem := wrong_machine(params.hardware):
            estimates = {
                name: replace(estimate, problem=problem) if name.partition(".")[0] in ABSOLUTE else estimate
                for name, estimate in estimates.items()
            }
        return Measurement(
            estimates,
            figures(seen, estimates, arms, workloads),
            tables(seen, estimates, arms, workloads),
            notes=tuple(seen.notes()),
        )

    def settings(self) -> Sequence[Setting]:
        """What is launched or asked, on which machine."""
        if self.params.load is not None:
            load = self.params.load.model_dump(exclude_none=True)
            return [Setting(f"load {name}", str(value)) for name, value in load.items()] + [
                Setting("prompts", str(len(self.params.prompts)))
            ]
        sizes = {"batch sizes": "batch_sizes", "prompt tokens": "prompt_tokens", "new tokens": "new_tokens"}
        return [
            *super().settings(),
            Setting("reference", str(self.params.reference or "the model under audit")),
            *(Setting(words, ", ".join(map(str, getattr(self.params, key)))) for words, key in sizes.items()),
            Setting("threads", ", ".join(map(str, self.params.threads)) or "as torch chooses"),
            Setting("machine", machine()),
        ]

    @property
    def _arms(self) -> list[str]:
        return [arm.name for arm in self.params.arms]

    def plan(self, engine: Engine, *, smoke: bool = False) -> Plan:
        """All launches, in their order.

        Raises CapabilityError where the engine has no model to launch, and EngineError where a workload is longer than
        what the model reads.
        """
        if not isinstance(engine, Launchable):
            raise CapabilityError(f"the engine {engine.info.engine} runs no model that could be launched on its own")
        params, workloads = self.params, self.params.workloads
        context = int(engine.info.facts.get("context_length", 0)) or None
        longest = max(workloads, key=lambda each: each.prompt_tokens + each.new_tokens)
        if why := beyond_context(longest, context):
            raise EngineError(f"{engine.info.name}: {why}")
        return Plan(
            options=engine.options,
            arms=params.arms,
            workloads=workloads,
            launches=1 if smoke else params.launches,
            repetitions=1 if smoke else params.repetitions,
            cache_lengths=tuple(length for length in _CACHE_LENGTHS if context is None or length <= context),
            largest=None if params.largest_batch is None else replace(workloads[0], batch=params.largest_batch),
            seed=self.seed,
        )


def _wanted(outcomes: Sequence[Outcome], spec: LaunchSpec) -> bool:
    """Whether the arm of a launch can be launched, going by what came of its launches so far."""
    last = [outcome for outcome in outcomes if outcome.arm == spec.arm][-_PATIENCE:]
    failed = [outcome for outcome in last if isinstance(outcome, LaunchFailure)]
    return len(failed) < _PATIENCE and not any(outcome.reason in {"refused", "no memory"} for outcome in failed)


@pytest.hookimpl
def pytest_llmaudit_audits() -> Sequence[type[Audit[Any]]]:
    """Offer this module's kind."""
    return [Performance]
