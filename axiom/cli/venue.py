"""`axiom venue`: one venue process; `axiom venues`: what people do to those of a run."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, cast

import msgspec
import typer

from axiom.cli.options import AsJson, RunsRoot
from axiom.console import print_json, say
from axiom.runs import ROOT, RunFolder
from axiom.telemetry import configure_logs
from axiom.venue_folder import VENUES, Act, VenueFolder, venue_folder
from domain.errors import InputError
from routing.misbehaviour import Misbehaviour

ACTS = ("kill", "pause", "continue", "tell", "list")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("venue")(venue_command)
    app.command("venues")(venues_command)


def venue_command(
    mic: Annotated[str, typer.Argument(help="Which venue.")],
    port: Annotated[int, typer.Option(help="Port for FIX.")],
    run: Annotated[Path | None, typer.Option(help="Folder of the run whose recording it follows.")] = None,
    bootstrap: Annotated[str, typer.Option(help="host:port of the Kafka whose market it follows instead.")] = "",
    data: Annotated[Path | None, typer.Option(help="With --bootstrap: folder of its notes and its log.")] = None,
    health_port: Annotated[int, typer.Option(help="With --bootstrap: of the probes; 0 takes a free one.")] = 0,
    parent: Annotated[int, typer.Option(help="Process whose end ends this one; 0 none.")] = 0,
) -> None:
    """Be one venue behind a FIX acceptor, until told to stop."""
    if (run is None) == (not bootstrap):
        raise InputError("a venue follows a run or a Kafka, not both", field="run", value="" if run is None else run)
    root = run if run is not None else data
    if root is None:
        raise InputError("a venue that follows topics needs a folder", field="data", value="")
    folder = VenueFolder(root, mic)
    folder.path.mkdir(parents=True, exist_ok=True)
    configure_logs(folder.path / "venue.jsonl")
    if run is not None:
        from axiom.venue_process import main

        main(run, mic, port, parent)
    from axiom.cluster import cluster_of
    from axiom.venue_following import FollowingVenue
    from fix.application import leave

    asyncio.run(FollowingVenue(cluster_of(bootstrap, os.environ), mic, port, folder, health_port).run(parent))
    leave(0)


def venues_command(
    run: Annotated[str, typer.Argument(help="Name of the run; last is the newest.")],
    act: Annotated[str, typer.Argument(help=f"What to do: {', '.join(ACTS)}.")] = "list",
    mic: Annotated[str, typer.Argument(help="To which venue.")] = "",
    behaviour: Annotated[
        list[str] | None, typer.Argument(help="For tell: name=value pairs of the misbehaviour; none behaves well.")
    ] = None,
    runs: RunsRoot = ROOT,
    as_json: AsJson = False,
) -> None:
    """Kill, freeze, thaw or misguide a venue process of a live run: for drills and tests. A killed one comes back."""
    folder = RunFolder.find(runs, run).path
    if act not in ACTS:
        raise InputError("unknown act", field="act", value=act, known=", ".join(ACTS))
    if act == "list":
        found = {path.name: VenueFolder(folder, path.name).pid() for path in sorted((folder / VENUES).glob("*"))}
        print_json({"venues": found}) if as_json else say("\n".join(f"{name} {pid}" for name, pid in found.items()))
        return
    venue = venue_folder(folder, mic)
    if act == "tell":
        venue.tell(_parse(behaviour or []))
    else:
        venue.act(cast("Act", act))
    print_json({"venue": mic, "act": act}) if as_json else say(f"{mic}: {act}")


def _parse(pairs: list[str]) -> Misbehaviour:
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError("misbehaviour must be name=value", field="behaviour", value=pair)
        values[name] = value
    try:
        return msgspec.convert(values, Misbehaviour, strict=False)
    except msgspec.ValidationError as error:
        raise InputError("bad misbehaviour", field="behaviour", value=" ".join(pairs), error=str(error)) from error
