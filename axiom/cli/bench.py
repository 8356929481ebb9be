"""`axiom bench NAME`: every published figure has a script in `benchmarks/`; this runs one of them, or all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from axiom.cli.options import AsJson
from axiom.console import say
from domain.errors import InputError

FOLDER = Path(__file__).parents[2] / "benchmarks"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(bench_command)


def bench_command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of a benchmark; `all` runs each; none lists them.")] = "",
    as_json: AsJson = False,
) -> None:
    """Measure, and print the figures with the machine they were measured on.

    Further options are the benchmark's own, --write and --quick among them: `axiom bench NAME -- --help` lists them.
    """
    known = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
    if not name:
        for each in known:
            say(each)
        return
    chosen = known if name == "all" else [name]
    unknown = [each for each in chosen if each not in known]
    if unknown:
        where = ", ".join(known) or "none: benchmarks come with the source checkout, not with the wheel"
        raise InputError("unknown benchmark", field="name", value=unknown[0], known=where)
    codes = [
        subprocess.run(
            [sys.executable, "-m", f"benchmarks.{each}", *(["--json"] if as_json else []), *context.args],
            cwd=FOLDER.parent,
            check=False,
        ).returncode
        for each in chosen
    ]
    raise typer.Exit(max(codes))
