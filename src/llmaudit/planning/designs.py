"""Research designs: conditions by clusters by samples, planned like the audits of a suite."""

from __future__ import annotations

import math
from pathlib import Path

from pydantic import Field

from llmaudit.audit import Name, Spec
from llmaudit.errors import SuiteError
from llmaudit.planning.checks import POWER, CheckPlan, of_samples, what_helps
from llmaudit.planning.plan import AuditPlan, Price
from llmaudit.planning.rates import Rates, seconds_of
from llmaudit.planning.spread import Spread
from llmaudit.planning.workload import Workload
from llmaudit.stats import (
    Limit,
    PassRule,
    VarianceComponents,
    clusters_to_pass,
    design_problem,
    detectable,
    pass_power,
)
from llmaudit.suite.files import read_model

__all__ = ["Design", "plan_design", "read_design"]


class SpreadParams(Spec):
    """How much the measure varies, in its own unit."""

    between: float = Field(ge=0, allow_inf_nan=False)
    """Standard deviation between clusters of the true difference of two conditions."""
    within: float = Field(ge=0, allow_inf_nan=False)
    """Standard deviation of one sample inside a cluster and condition."""


class Design(Spec):
    """An experiment that is not written yet: every condition is asked in every cluster."""

    design: str = Field(min_length=1)
    """The name of the design, for people."""
    conditions: list[Name] = Field(min_length=2)
    """What is compared, every one with every other."""
    clusters: int = Field(ge=1)
    """Prompts, templates or documents."""
    samples: int = Field(ge=1)
    """Answers per cluster and condition."""
    sd: SpreadParams
    effect: float = Field(gt=0, allow_inf_nan=False)
    """The smallest difference that matters: the limit that a harmless one must pass."""
    prompt_tokens: int = Field(default=0, ge=0)
    """Of one prompt."""
    new_tokens: int = Field(default=0, ge=0)
    """Of one answer, at most."""


def read_design(path: Path) -> Design:
    """Read a design, or raise SuiteError with every mistake in it and its place."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SuiteError([f"{path}:1:1: cannot be read: {error.strerror}"]) from None
    return read_model(raw, str(path), Design)


def plan_design(design: Design, rates: Rates, price: Price | None = None) -> AuditPlan:
    """Return what a design costs and can decide: the worst of all differences between conditions below the effect."""
    requests = len(design.conditions) * design.clusters * design.samples
    work = Workload(
        requests=requests,
        completions=requests,
        prompt_tokens=requests * design.prompt_tokens,
        new_tokens=requests * design.new_tokens,
        longest=design.prompt_tokens + design.new_tokens,
    )
    seconds = seconds_of(work, rates, design.design) if design.new_tokens else None
    return AuditPlan(design.design, "design", work, 0, seconds, price.of(work) if price else None, (_check(design),))


def _check(design: Design) -> CheckPlan:
    rule = PassRule(Limit(max=design.effect), signed=True, facets=math.comb(len(design.conditions), 2))
    parts = VarianceComponents(design.sd.between**2, 2 * design.sd.within**2)
    sd = parts.difference_sd(design.samples)
    power = pass_power(rule, 0.0, sd, design.clusters)
    needed = clusters_to_pass(rule, 0.0, sd, POWER)
    spread = Spread(sd, "as the design says", measured=True, components=parts, samples=design.samples)
    of_more = of_samples(rule, 0.0, spread, design.clusters)
    helps = design_problem(design.clusters) or what_helps(needed, of_more, design.clusters)
    return CheckPlan(
        check="difference",
        role="confirmatory",
        against="limit",
        bound=f"below ±{design.effect:g}",
        decides="yes" if power >= POWER else "no",
        reason="enough for it to pass" if power >= POWER else helps,
        clusters=design.clusters,
        expected=0.0,
        distance=design.effect,
        sd=sd,
        source=spread.source,
        detectable=_finite(detectable(rule, sd, design.clusters, POWER)),
        power=power,
        clusters_needed=needed,
        **of_more,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
