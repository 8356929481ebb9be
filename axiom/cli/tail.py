"""`axiom tail`: print what a topic carries, of a run or of a Kafka cluster."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from itertools import islice
from typing import Annotated

import typer

from axiom.cli.options import RunsRoot
from axiom.runs import ROOT, RunFolder
from axiom.tail import follow, print_event, subscribe, topic_of
from domain.errors import InputError
from domain.topics import Topic

DEFAULT = "risk.pnl"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tail")(tail_command)


def tail_command(
    run: Annotated[str, typer.Argument(help="A run (`last` is the newest); with --bootstrap, the topic.")] = "",
    topic: Annotated[str, typer.Argument(help="Topic, or the end of its name: greeks, fills, pnl.")] = "",
    bootstrap: Annotated[str, typer.Option(help="host:port of Kafka: read the topic there, as messages come.")] = "",
    underlying: Annotated[str, typer.Option(help="Of this underlying alone.")] = "",
    from_begin: Annotated[
        bool, typer.Option("--from-begin", help="With --bootstrap: begin with the oldest message that is kept.")
    ] = False,
    follow_on: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more while the run lives.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="Stop after so many events; 0 has no end.")] = 0,
    rows: Annotated[int, typer.Option(min=0, help="Rows of a frame to print.")] = 5,
    runs: RunsRoot = ROOT,
) -> None:
    """Print what a topic of a run carried, or what a topic on Kafka carries now, one JSON object a line."""
    if bootstrap:
        if topic:
            raise InputError("with --bootstrap name the topic alone", field="topic", value=topic)
        _tail_kafka(bootstrap, topic_of(run or DEFAULT), underlying.upper(), limit, rows, from_begin=from_begin)
        return
    folder = RunFolder.find(runs, run or "last")
    events = follow(folder, topic_of(topic or DEFAULT), is_alive=lambda: follow_on and folder.is_alive())
    wanted = (event for event in events if not underlying or event.underlying == underlying.upper())
    for event in islice(wanted, limit or None):
        print_event(event, rows)


def _tail_kafka(bootstrap: str, topic: Topic, underlying: str, limit: int, rows: int, *, from_begin: bool) -> None:
    from axiom.cluster import cluster_of

    async def work() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: task and task.cancel())
        count = 0
        messages = subscribe(cluster_of(bootstrap, os.environ), topic, underlying, is_from_begin=from_begin)
        async with contextlib.aclosing(messages):
            async for arrived in messages:
                print_event(arrived.event, rows, arrived)
                count += 1
                if count == limit:
                    return

    try:
        asyncio.run(work())
    except asyncio.CancelledError:
        raise typer.Exit(130) from None
