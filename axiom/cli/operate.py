"""`axiom kill|release|pause|flatten|reset|limits`: a person acts on a running system, with user and reason.

`axiom resume` is in `axiom.cli.run`: it lifts a pause where the run is alive, and goes on with one that was killed.
"""

from __future__ import annotations

import getpass
import math
import os
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from axiom.cli.options import AsJson, RunsRoot
from axiom.console import print_json, say
from axiom.control import send_command
from axiom.runs import ROOT, RunFolder
from domain.errors import InputError

Run = Annotated[str, typer.Option("--run", help="Name or path of a run; `last` is the newest.")]
Underlying = Annotated[str, typer.Option(help="Symbol; empty is the firm.")]
Reason = Annotated[str, typer.Option(help="Why; it is journaled.")]
User = Annotated[str, typer.Option(help="Who; the login name when absent.")]

ABOUT = {
    "kill": "Engage the kill switch: cancel everything, let nothing but cancels through.",
    "release": "Release the kill switch.",
    "pause": "Pull our quotes and show none; hedging goes on.",
    "flatten": "Pause quoting and trade the net delta to zero.",
    "reset": "Reset a tripped market-maker protection.",
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, about in ABOUT.items():
        app.command(name, help=about)(_plain(name))
    app.command("limits")(limits_command)


def _plain(name: str) -> Any:  # noqa: ANN401  # a command function
    def command(
        reason: Reason,
        run: Run = "last",
        underlying: Underlying = "",
        user: User = "",
        runs: RunsRoot = ROOT,
        as_json: AsJson = False,
    ) -> None:
        _send(runs, run, {"command": name, "underlying": underlying, "user": user, "reason": reason}, as_json=as_json)

    return command


def limits_command(
    changes: Annotated[list[str], typer.Argument(help="name=value, for instance held_delta=50000.")],
    reason: Reason,
    run: Run = "last",
    underlying: Underlying = "",
    user: User = "",
    runs: RunsRoot = ROOT,
    as_json: AsJson = False,
) -> None:
    """Change named limits of the risk gate: all of them, or none."""
    limits: dict[str, float] = {}
    for change in changes:
        name, _, value = change.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not name or not math.isfinite(number):
            raise InputError("a change is name=number", field=name or "changes", value=value or change)
        if name in limits:
            raise InputError("a limit is changed once", field=name, value=value)
        limits[name] = number
    request = {"command": "limits", "underlying": underlying, "user": user, "reason": reason, "limits": limits}
    _send(runs, run, request, as_json=as_json)


def _send(runs: Path, run: str, request: dict[str, Any], *, as_json: bool) -> None:
    folder = RunFolder.find(runs, run)
    complete = {**request, "underlying": request["underlying"].upper(), "user": request["user"] or who()}
    say_answer(folder, complete, send_command(folder.path, complete), as_json=as_json)


def say_answer(folder: RunFolder, request: dict[str, Any], answer: dict[str, Any], *, as_json: bool) -> NoReturn:
    """Say what came of a command, and end: exit status 0 when it was applied, 1 when not."""
    if as_json:
        print_json(answer)
    else:
        said = "applied" if answer.get("applied") else f"refused: {answer.get('error')}"
        say(f"{folder.path.name}: {request['command']} {said}")
    raise typer.Exit(0 if answer.get("applied") else 1)


def who() -> str:
    """The login name, or the number of a user who has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # KeyError before Python 3.13
        return f"uid {os.getuid()}"
