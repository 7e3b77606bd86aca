"""The command `llmaudit`: what can be done without a pytest session."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from llmaudit.errors import LLMAuditError

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Audit language models with pytest: `pytest SUITES --model NAME` runs suites; these commands help around it.",
)

# What comes from a model or a path may hold brackets and colons, which rich would take for markup and emoji.
_out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
_err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def main() -> None:
    """Run the command; a user's mistake is one message, not a traceback."""
    try:
        app()
    except LLMAuditError as error:
        _refuse(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        _refuse(f"{error.filename}: {error.strerror}")


def _refuse(text: str) -> NoReturn:
    _err.print("llmaudit: ", style="red", end="")
    _err.print(text)
    raise SystemExit(2)


@app.command()
def doctor(
    models: Annotated[list[str] | None, typer.Argument(help="Models to load, as --model takes them.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    base_url: Annotated[str | None, typer.Option(help="Address of an OpenAI-compatible server.")] = None,
) -> None:
    """Show the machine, and for each model what memory it needs, whether it loads and what it says."""
    from llmaudit.doctor import check_memory, check_model, machine  # noqa: PLC0415 - seconds that --help does not need
    from llmaudit.engines.base import EngineOptions  # noqa: PLC0415 - likewise
    from llmaudit.projects import project_aliases  # noqa: PLC0415 - likewise

    _print_facts("machine", machine(Path.cwd()))
    aliases = project_aliases(Path.cwd())
    healthy = True
    for model in models or []:
        options = EngineOptions(model, device=device, dtype=dtype, base_url=base_url, aliases=aliases)
        # Printed first: where the memory runs out while a model is loaded, nobody is left to print anything.
        works, facts = check_memory(options)
        _print_facts(f"{model}, before it is loaded", facts)
        if works:
            works, facts = check_model(options)
            _print_facts(model, facts)
        healthy &= works
    if not healthy:
        raise typer.Exit(1)


@app.command(context_settings={"ignore_unknown_options": True})
def plan(
    arguments: Annotated[
        list[str], typer.Argument(help="Suites or designs, and options, as pytest takes them: suites/ --model NAME.")
    ],
) -> None:
    """Say what a run would cost and which checks could decide; nothing is run. As pytest with --plan."""
    import pytest  # noqa: PLC0415 - half a second that --help does not need

    raise typer.Exit(int(pytest.main(["--plan", *arguments])))


@app.command()
def report(run: Annotated[Path, typer.Argument(help="A run's folder, its run.json, or reports/latest.")]) -> None:
    """Make the report of a run again, from its run.json; no model is needed."""
    from llmaudit.report import write_report  # noqa: PLC0415 - seconds that --help does not need
    from llmaudit.run import load_run  # noqa: PLC0415 - likewise

    loaded = load_run(run)
    if loaded.folder is None:
        raise AssertionError("a loaded run knows its folder")
    _out.print(str(write_report(loaded, loaded.folder)))


@app.command()
def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Two runs or more: a folder, a run.json, or reports/latest.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write; else reports/compare/<now>.")
    ] = None,
    draw: Annotated[
        list[str] | None,
        typer.Option(help="A metric to draw against size and speed, as AUDIT/METRIC; may be repeated."),
    ] = None,
) -> None:
    """Compare runs of different models: what differs, what cannot be told apart, and what it costs."""
    from llmaudit.comparison import compare_runs, load_runs  # noqa: PLC0415 - seconds that --help does not need
    from llmaudit.report import write_comparison  # noqa: PLC0415 - likewise

    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H-%M-%S-%f")
    comparison = compare_runs(load_runs(runs), draw or ())
    _out.print(str(write_comparison(comparison, output or Path("reports", "compare", now))))


@app.command()
def schema(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; else the terminal.")] = None,
) -> None:
    """Print the JSON Schema of the suite language, with the kinds of every installed plugin."""
    from llmaudit.plugins import installed_kinds  # noqa: PLC0415 - seconds that --help does not need
    from llmaudit.suite import json_schema  # noqa: PLC0415 - likewise

    text = json.dumps(json_schema(installed_kinds()), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to put the suites.")] = Path("suites"),
    *,
    with_public_data: Annotated[
        bool, typer.Option("--with-public-data", help="Also write suites that read public data sets from the hub.")
    ] = False,
) -> None:
    """Copy the shipped suites into a folder, to run and to change."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        item.name: item.read_text(encoding="utf-8")
        for item in _shipped_suites().iterdir()
        if item.name.endswith((".audit.yaml", ".codebook.yaml", ".md"))
    }
    if with_public_data:
        from llmaudit.datasets import public_suites  # noqa: PLC0415 - seconds that --help does not need

        texts |= public_suites()
    for name, text in sorted(texts.items()):
        target = folder / name
        if target.exists():
            _out.print(f"{target}: is there already, left as it is")
        else:
            target.write_text(text, encoding="utf-8")
            _out.print(str(target))
    if with_public_data:
        _out.print("What a set needs that the hub does not have stands at the top of its suite.")


@app.command()
def cache(
    prune: Annotated[
        float | None, typer.Option(min=0, help="Forget responses older than so many days; 0 forgets all.")
    ] = None,
) -> None:
    """Show what is stored of earlier runs, and forget what is old."""
    from llmaudit.cachedir import store_path  # noqa: PLC0415 - seconds that --help does not need
    from llmaudit.store import ResponseStore  # noqa: PLC0415 - likewise

    path = store_path()
    if not path.exists():
        _out.print(f"{path}: no responses are stored")
        return
    store = ResponseStore(path)
    forgotten = None if prune is None else store.prune(prune)
    sizes = store.sizes()
    store.close()
    if store.remark:
        _err.print(f"{path}: {store.remark}")
    if forgotten is not None:
        _out.print(f"{forgotten:,} responses forgotten")
    if sizes:
        _print_facts(str(path), [(size.model, f"{size.responses:,} responses") for size in sizes])
    else:
        _out.print(f"{path}: no responses are stored")


def _shipped_suites() -> Traversable:
    try:
        return files("llmaudit.suites")
    except ModuleNotFoundError:
        # An editable install does not map them: they stand at the root of the checkout.
        return Path(__file__).parents[2] / "suites"


def _print_facts(title: str, facts: Iterable[tuple[str, str]]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, value)
    _out.print(table)
