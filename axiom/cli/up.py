"""`axiom up`: the Kafka form on this machine."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from axiom.cli.feed import DataPath, SettingsFile, Source, TradeDate, Underlying
from axiom.cli.options import AsJson
from axiom.console import print_json, say
from axiom.runs import ROOT
from axiom.telemetry import configure_logs

INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("up")(up_command)


def up_command(  # one parameter for each option
    source: Source = "synthetic",
    path: DataPath = None,
    underlying: Underlying = "",
    date: TradeDate = "",
    synthetic: Annotated[
        int, typer.Option(min=-1, help="Made-up underlyings; -1: three beside a recorded day, four without one.")
    ] = -1,
    bootstrap: Annotated[str, typer.Option(help="host:port of an existing Kafka; by default one is started.")] = "",
    partitions: Annotated[int, typer.Option(min=1, help="Of the topics that share keys.")] = 4,
    workers: Annotated[int, typer.Option(min=1, help="Of each group of stages.")] = 2,
    colocated: Annotated[bool, typer.Option("--colocated", help="All stages of an underlying in one worker.")] = False,
    speed: Annotated[str, typer.Option(help="Event seconds per second.")] = "4",
    settle_s: Annotated[float, typer.Option(min=0.0, help="Seconds between the close and the end of a run.")] = 5.0,
    data: Annotated[Path | None, typer.Option(help="Its folder; one that was killed goes on where it was.")] = None,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Start Kafka, venues, gateway, workers and feed; watch them to the end of the day; compare the books.

    Ctrl-C pulls all quotes and ends everything. The exit status is 1 where something does not add up.
    """
    from axiom import settings as settings_module
    from axiom.cli.run import parse_speed
    from axiom.feed_plan import PLAN, make_plan, read_plan
    from axiom.up import Up, UpOptions

    folder = (data or ROOT / f"up-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}-{os.getpid()}").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    configure_logs(folder / "up.jsonl")
    plan = (
        read_plan(folder / "feed")
        if (folder / "feed" / PLAN).exists()
        else make_plan(
            run=folder.name,
            speed=parse_speed(speed),
            settle_s=settle_s,
            settings=settings_module.load(settings, os.environ),
            synthetic=synthetic if synthetic >= 0 else 4 if source == "synthetic" else 3,
            partitions=partitions,
            source=source,
            path="" if path is None else str(path.resolve()),
            underlying=underlying.upper(),
            trade_date=date,
        )
    )
    options = UpOptions(
        folder=folder, plan=plan, bootstrap=bootstrap, partitions=partitions, workers=workers, is_colocated=colocated
    )
    up = Up(options, lambda text: typer.echo(text, err=True))

    def stop(*_: object) -> None:
        up.should_stop = True

    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, stop)
    summary = asyncio.run(up.run())
    print_json(summary) if as_json else say(_text(summary))
    raise typer.Exit(INTERRUPTED if summary["is_interrupted"] else 1 if summary["problems"] else 0)


def _text(summary: dict[str, Any]) -> str:
    lines = [f"{summary['run']}: {summary['wall_seconds']} s, restarts {summary['restarts'] or 'none'}"]
    for name, facts in summary["underlyings"].items():
        equal = "positions equal" if facts["positions_equal"] else "POSITIONS DIFFER"
        lines.append(f"  {name}: {facts['fills']} fills, {facts['orders']} orders, {equal}")
    return "\n".join(lines + [f"  problem: {problem}" for problem in summary["problems"]])
