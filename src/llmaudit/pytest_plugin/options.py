"""Options on the command line, in the ini file and in the environment."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Settings", "add_options", "gate_only", "left_out"]

_GROUP = "llmaudit"
LEFT_OUT = pytest.StashKey[list[str]]()


@dataclass(frozen=True, slots=True)
class _Option:
    """One setting: --NAME and --llmaudit-NAME on the command line, llmaudit_NAME in the ini file, LLMAUDIT_NAME."""

    name: str
    metavar: str
    help: str

    @property
    def dest(self) -> str:
        return f"llmaudit_{self.name.replace('-', '_')}"

    @property
    def variable(self) -> str:
        return self.dest.upper()


_OPTIONS = (
    _Option("model", "NAME", "the model to audit: a folder, a .gguf file, an alias, a hub id, or openai:NAME"),
    _Option("engine", "NAME", "what answers: auto, hf, tokenizer, openai or fake (default: auto)"),
    _Option("dtype", "TYPE", "auto, float32, bfloat16 or float16 (default: auto)"),
    _Option("device", "DEVICE", "auto, cpu, cuda, cuda:1, mps (default: auto)"),
    _Option("revision", "REV", "branch, tag or commit of a model on the hub"),
    _Option(
        "quantization",
        "NAME",
        "int8, nf4, fp4 or nf4-double by bitsandbytes; rtn4, rtn2-g64: rounding, simulated",
    ),
    _Option("base-url", "URL", "address of an OpenAI-compatible server, with /v1"),
    _Option("batch-size", "N", "completions that the hf engine decodes side by side (default: 64, on a GPU 256)"),
    _Option("seed", "N", "seed of everything random (default: 0)"),
    _Option("samples", "N", "completions per cell, in place of what the suites say"),
    _Option("look", "K", "which look this is, of a suite that declares looks (default: the last)"),
    _Option("reference", "NAME", "the model that fidelity audits hold --model against (default: what the suites say)"),
    _Option("waivers", "FILE", "accepted findings, by check (default: waivers.yaml in the root folder, where it is)"),
    _Option("baseline", "RUN", "the run to judge margins against: a run's folder, latest, accepted, or model:NAME"),
    _Option("price", "IN/OUT", "what a million input and output tokens cost, for --plan: 0.15/0.60, 0.15/0.60 EUR"),
    _Option("report-dir", "DIR", "folder for the reports (default: reports)"),
)
_NO_CACHE_HELP = "ask the model again for what an earlier run has stored, and store nothing"
_AA_HELP = "run every audit twice more on the same model and report how much each estimate moves: its noise floor"
_UPDATE_HELP = "accept this run, once it has finished, as what --baseline accepted names"
_UNLIKE_HELP = "compare with a baseline that asked something else, as far as that goes, and mark it"
_SMOKE_HELP = "ask two requests per cell to see that everything runs; nothing is judged"
_GATE_ONLY_HELP = "print ten lines in place of pytest's report: the verdict, the worst findings, where the report is"
_NO_CALIBRATION_HELP = "with --plan: measure no speed where no earlier run did; about 10 seconds and the loading saved"
_PLAN_HELP = "run nothing: say what it would cost, and which checks could decide"
_FLAGS = {
    "smoke": _SMOKE_HELP,
    "no-cache": _NO_CACHE_HELP,
    "aa": _AA_HELP,
    "baseline-update": _UPDATE_HELP,
    "allow-unlike": _UNLIKE_HELP,
    "gate-only": _GATE_ONLY_HELP,
    "no-calibration": _NO_CALIBRATION_HELP,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked for."""

    model: str | None
    engine: str
    dtype: str
    device: str
    revision: str | None
    quantization: str | None
    base_url: str | None
    seed: int
    samples: int | None
    look: int | None
    reference: str | None
    batch_size: int | None
    smoke: bool
    no_cache: bool
    aa: bool
    waivers: Path | None
    baseline: str | None
    baseline_update: bool
    allow_unlike: bool
    plan: str | None
    """`table` or `json`; None runs."""
    price: str | None
    no_calibration: bool
    report_dir: Path

    @classmethod
    def of(cls, config: pytest.Config) -> Settings:
        """Read the command line first, then the environment, then the ini file. Raises UsageError."""
        given = {option.name: _value(config, option) for option in _OPTIONS}
        samples, look, batch_size = given["samples"], given["look"], given["batch-size"]
        if samples is not None and look is not None:
            raise pytest.UsageError("--samples and --look: the suite says how many samples there are at a look")
        return cls(
            model=given["model"],
            engine=given["engine"] or "auto",
            dtype=given["dtype"] or "auto",
            device=given["device"] or "auto",
            revision=given["revision"],
            quantization=given["quantization"],
            base_url=given["base-url"],
            seed=_whole("seed", given["seed"] or "0", least=0),
            samples=None if samples is None else _whole("samples", samples, least=1),
            look=None if look is None else _whole("look", look, least=1),
            reference=given["reference"],
            batch_size=None if batch_size is None else _whole("batch-size", batch_size, least=1),
            smoke=_flag(config, "smoke"),
            no_cache=_flag(config, "no_cache"),
            aa=_flag(config, "aa"),
            waivers=None if given["waivers"] is None else Path(given["waivers"]),
            baseline=given["baseline"],
            baseline_update=_flag(config, "baseline_update"),
            allow_unlike=_flag(config, "allow_unlike"),
            plan=config.getoption("llmaudit_plan"),
            price=given["price"],
            no_calibration=_flag(config, "no_calibration"),
            report_dir=Path(given["report-dir"] or "reports"),
        )


def add_options(parser: pytest.Parser) -> list[str]:
    """Register every option; returns the short spellings that were left out because another plugin has them."""
    group = parser.getgroup(_GROUP, "language model audits (llmaudit)")
    left_out: list[str] = []
    for option in _OPTIONS:
        _add(group, left_out, option.name, dest=option.dest, metavar=option.metavar, default=None, help=option.help)
        parser.addini(option.dest, f"{option.help}; also {option.variable} in the environment", default=None)
    for name, text in _FLAGS.items():
        dest = f"llmaudit_{name.replace('-', '_')}"
        _add(group, left_out, name, dest=dest, action="store_true", default=False, help=text)
    # Two spellings and not one option with a value: the value would swallow the path that follows it.
    for name, form in (("plan", "table"), ("plan=json", "json")):
        _add(
            group, left_out, name, dest="llmaudit_plan", action="store_const", const=form, default=None, help=_PLAN_HELP
        )
    return left_out


def gate_only(config: pytest.Config) -> bool:
    """Whether ten lines shall stand in place of pytest's report."""
    return _flag(config, "gate_only")


def left_out(config: pytest.Config) -> str | None:
    """Say which short spellings belong to another plugin here."""
    names = config.stash.get(LEFT_OUT, [])
    if not names:
        return None
    more = " and so on" if len(names) > 1 else ""
    return f"llmaudit: another plugin has {', '.join(f'--{n}' for n in names)}; use --llmaudit-{names[0]}{more}"


def _add(group: pytest.OptionGroup, left_out: list[str], name: str, **attributes: object) -> None:
    if os.environ.get("LLMAUDIT_LONG_OPTIONS_ONLY", "") in {"", "0"}:
        try:
            group.addoption(f"--{name}", f"--llmaudit-{name}", **attributes)
        except (ValueError, argparse.ArgumentError):  # the second where the other option is in another group
            left_out.append(name)
        else:
            return
    group.addoption(f"--llmaudit-{name}", **attributes)


def _value(config: pytest.Config, option: _Option) -> str | None:
    given = config.getoption(option.dest)
    if given is None:
        given = os.environ.get(option.variable) or None
    if given is None:
        given = config.getini(option.dest)
    return None if given is None or given == "" else str(given)


def _flag(config: pytest.Config, name: str) -> bool:
    return bool(config.getoption(f"llmaudit_{name}")) or os.environ.get(f"LLMAUDIT_{name.upper()}", "") not in {"", "0"}


def _whole(name: str, text: str, *, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise pytest.UsageError(f"--{name} {text}: not a whole number") from None
    if value < least:
        raise pytest.UsageError(f"--{name} {text}: must be at least {least}")
    return value
