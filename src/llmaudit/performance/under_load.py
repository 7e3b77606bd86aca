"""A served model under load: what the launches of a model in this process are to the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmaudit.audit import Measurement
from llmaudit.engines.base import Engine, Served
from llmaudit.errors import CapabilityError
from llmaudit.performance.load import LoadParams
from llmaudit.performance.serving import estimates
from llmaudit.performance.serving_exhibits import remarks, repetitions_table, shares_figure

__all__ = ["measure_under_load"]

#: Requests of a smoke run.
_SMOKE = 2


def measure_under_load(
    engine: Engine,
    load: LoadParams,
    prompts: Sequence[str],
    seed: int,
    progress: Callable[[int, int], None],
    *,
    smoke: bool = False,
) -> Measurement:
    """Put the load on an endpoint and measure. Raises CapabilityError for an engine that is none, and EngineError."""
    if not isinstance(engine, Served):
        raise CapabilityError(
            f"the engine {engine.info.engine} is no server that could be put under load; leave load out to launch the"
            " model itself"
        )
    # The client of HTTP is imported where there is a server.
    from llmaudit.performance.endpoint import drive  # noqa: PLC0415

    asked = load.model_copy(update={"repetitions": 1, "requests": _SMOKE}) if smoke else load
    exchanges = drive(engine.endpoint, asked, prompts, seed, progress)
    return Measurement(
        estimates(exchanges, asked),
        (shares_figure(exchanges, asked),),
        (repetitions_table(exchanges, asked),),
        notes=remarks(exchanges, asked),
    )
