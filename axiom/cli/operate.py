"""`axiom kill|release|pause|flatten|reset|limits`: a person acts on a running system, with user and reason.

`axiom resume` is in `axiom.cli.run`: it lifts a pause where the run is alive, and goes on with one that was killed.
"""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any

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
            limits[name] = float(value)
        except ValueError as error:
            raise InputError("a change is name=number", field=name, value=value) from error
    request = {"command": "limits", "underlying": underlying, "user": user, "reason": reason, "limits": limits}
    _send(runs, run, request, as_json=as_json)


def _send(runs: Path, run: str, request: dict[str, Any], *, as_json: bool) -> None:
    folder = RunFolder.find(runs, run)
    answer = send_command(folder.path, {**request, "user": request["user"] or getpass.getuser()})
    if as_json:
        print_json(answer)
    else:
        said = "applied" if answer.get("applied") else f"refused: {answer.get('error') or answer.get('outcome')}"
        say(f"{folder.path.name}: {request['command']} {said}")
    raise typer.Exit(0 if answer.get("applied") else 1)
