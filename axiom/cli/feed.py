"""`axiom feed`: recorded and synthetic days onto Kafka, at their pace."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from axiom.telemetry import configure_logs

Source = Annotated[str, typer.Option(help="Of the recorded day: lean or massive-files; synthetic has none.")]
DataPath = Annotated[Path | None, typer.Option(help="Folder of the recorded files.")]
Underlying = Annotated[str, typer.Option(help="Symbol of the recorded day.")]
TradeDate = Annotated[str, typer.Option(help="Trade date of the recorded day, YYYY-MM-DD.")]
Synthetic = Annotated[int, typer.Option(min=0, help="Made-up underlyings, beside the recorded day if there is one.")]
Speed = Annotated[str, typer.Option(help="Event seconds per second, or max.")]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="TOML file of settings.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("feed")(feed_command)


def feed_command(
    data: Annotated[Path, typer.Option(help="Its folder: the plan, and how far it is.")],
    source: Source = "synthetic",
    path: DataPath = None,
    underlying: Underlying = "",
    date: TradeDate = "",
    synthetic: Synthetic = 1,
    speed: Speed = "1",
    settle_s: Annotated[float, typer.Option(min=0.0, help="Seconds between the close and the end of a run.")] = 5.0,
    partitions: Annotated[int, typer.Option(min=1, help="Over which made-up underlyings are spread.")] = 4,
    run_id: Annotated[str, typer.Option("--id", help="Name of the run.")] = "feed",
    settings: SettingsFile = None,
    bootstrap: Annotated[str, typer.Option(help="host:port of Kafka; by default AXIOM_KAFKA__BOOTSTRAP.")] = "",
    health_port: Annotated[int, typer.Option(help="Readiness and liveness over HTTP; 0 takes a free one.")] = 0,
) -> None:
    """Publish days to the end. Killed and started again on its folder it goes on where it was, as it was planned."""
    from axiom import settings as settings_module
    from axiom.cli.run import parse_speed
    from axiom.cluster import cluster_of
    from axiom.feed_plan import PLAN, keep_plan, make_plan
    from axiom.feed_process import FeedProcess

    data.mkdir(parents=True, exist_ok=True)
    configure_logs(data / "log.jsonl")
    if not (data / PLAN).exists():
        plan = make_plan(
            run=run_id,
            speed=parse_speed(speed),
            settle_s=settle_s,
            settings=settings_module.load(settings, os.environ),
            synthetic=synthetic,
            partitions=partitions,
            source=source,
            path="" if path is None else str(path.resolve()),
            underlying=underlying.upper(),
            trade_date=date,
        )
        keep_plan(data, plan)
    is_done = asyncio.run(FeedProcess(cluster_of(bootstrap, os.environ), data, health_port).run())
    raise typer.Exit(0 if is_done else 3)
