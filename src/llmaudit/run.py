"""What a run leaves behind: records, audits, environment, as plain data with a schema version."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from llmaudit.errors import RunError
from llmaudit.records import AuditRecord, BaselineRun, EstimateRecord, Record, SuiteRecord, Timing, to_plain
from llmaudit.types import ModelInfo

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SCHEMA_VERSION", "Run", "load_run"]

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Run:
    """Environment, plan and records of one session."""

    schema_version: int
    run_id: str
    started: str
    """ISO 8601, UTC."""
    finished: str
    llmaudit_version: str
    model: ModelInfo | None
    """None where no audit came as far as to load it."""
    environment: Mapping[str, Any]
    seed: int
    smoke: bool
    complete: bool
    """False where the session was interrupted before every planned check had run."""
    suites: tuple[SuiteRecord, ...]
    plan: tuple[str, ...]
    """Node ids of the checks that were selected, in order."""
    audits: tuple[AuditRecord, ...]
    records: tuple[Record, ...]
    notes: tuple[str, ...] = ()
    baseline: BaselineRun | None = None
    folder: Path | None = field(default=None, compare=False)
    """Where the run was loaded from; not stored."""

    def counts(self) -> dict[str, int]:
        """Number of records per outcome."""
        found: dict[str, int] = {}
        for record in self.records:
            found[record.verdict] = found.get(record.verdict, 0) + 1
        return found

    @property
    def timings(self) -> dict[str, Timing]:
        """What each audit cost, by audit id."""
        return {audit.id: audit.timing for audit in self.audits}

    def to_json(self) -> str:
        """The text of run.json."""
        data = to_plain(self)
        del data["folder"]
        data["timings"] = to_plain(self.timings)
        return json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    def estimates(self) -> pd.DataFrame:
        """One row per estimate: suite, audit, kind, metric, value, low, high, level, n, clusters, ..."""
        import pandas as pd  # noqa: PLC0415 - half a second that reading records does not need

        rows = [
            {"suite": audit.suite, "audit": audit.audit, "kind": audit.kind, **_scalars(estimate)}
            for audit in self.audits
            for estimate in audit.estimates
        ]
        return pd.DataFrame(rows)

    def samples(self) -> pd.DataFrame:
        """One row per sample: suite, audit, cluster, the request and its response, factors and scores as columns.

        Raises RunError where the run's samples.jsonl.gz is missing.
        """
        import pandas as pd  # noqa: PLC0415 - see estimates

        path = (self.folder or Path()) / "samples.jsonl.gz"
        if not path.is_file():
            raise RunError(f"{path}: the samples of this run are not here; copy them beside run.json")
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [_flat_sample(json.loads(line)) for line in lines]
        return pd.DataFrame(rows)


def load_run(path: str | Path) -> Run:
    """Read a run from its folder, its run.json, or a `latest` file that names its folder.

    Raises RunError where it is missing, damaged, or of a newer schema.
    """
    path = Path(path)
    if path.name == "latest" and path.is_file():
        path = path.parent / path.read_text(encoding="utf-8").strip()
    file = path / "run.json" if path.is_dir() else path
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        version = data["schema_version"]
    except FileNotFoundError:
        raise RunError(f"{file}: there is no run here; give the folder of a run or its run.json") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise RunError(f"{file}: not a readable run.json ({error})") from None
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise RunError(
            f"{file}: schema version {version}, this llmaudit reads up to {SCHEMA_VERSION}; upgrade llmaudit"
        )
    data.pop("timings", None)
    try:
        run = TypeAdapter(Run).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise RunError(f"{file}: damaged at {place}: {first['msg']}") from None
    return replace(run, folder=file.parent)


def _scalars(estimate: EstimateRecord) -> dict[str, Any]:
    return {key: value for key, value in asdict(estimate).items() if not isinstance(value, dict)}


def _flat_sample(line: dict[str, Any]) -> dict[str, Any]:
    factors = {f"factor.{key}": value for key, value in line.pop("factors", {}).items()}
    scores = {f"score.{key}": value for key, value in line.pop("scores", {}).items()}
    return {**line, **factors, **scores}
