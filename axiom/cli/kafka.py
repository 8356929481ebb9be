"""`axiom kafka start|stop|status`: a local Apache Kafka for development."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from axiom.cli.options import AsJson
from axiom.console import print_json, say
from domain.errors import InputError

Data = Annotated[
    Path | None,
    typer.Option(help="Folder of the broker's data; by default $XDG_STATE_HOME/axiom/kafka, under ~/.local/state."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True)
    group.command("start")(start_command)
    group.command("stop")(stop_command)
    group.command("status")(status_command)
    app.add_typer(group, name="kafka", help="A local Apache Kafka from its jars, for development.")


def start_command(
    data: Data = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="For clients; 0 takes the last one, or a free one.")] = 0,
    heap: Annotated[int, typer.Option(min=128, help="Heap of its JVM, MiB.")] = 512,
    full_jit: Annotated[bool, typer.Option("--full-jit", help="Better latency once warm, a slower start.")] = False,
    deadline: Annotated[float, typer.Option(min=1.0, help="Seconds in which it must answer.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Start one, or find the one that runs, and print where it listens. The first time its jars are fetched."""
    from axiom import broker
    from streams.kafka import answers

    started = broker.start(
        _folder(data),
        environment=os.environ,
        is_ready=lambda bootstrap: asyncio.run(answers(bootstrap)),
        port=port,
        heap_mib=heap,
        has_full_jit=full_jit,
        deadline_s=deadline,
        say=lambda text: typer.echo(text, err=True),
    )
    _tell(as_json=as_json, facts={"is_running": True, **msgspec.to_builtins(started)}, text=started.bootstrap)


def stop_command(
    data: Data = None,
    deadline: Annotated[float, typer.Option(min=0.0, help="Seconds after which it is killed; 0 kills at once.")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Stop it. What it holds stays in its folder."""
    from axiom import broker

    folder = _folder(data)
    running = broker.status(folder)
    is_clean = broker.stop(folder, deadline_s=deadline)
    said = "no broker runs" if running is None else "stopped" if is_clean else "killed at the deadline"
    _tell(as_json=as_json, facts={"was_running": running is not None, "is_clean": is_clean}, text=f"{folder}: {said}")


def status_command(data: Data = None, as_json: AsJson = False) -> None:
    """Say whether it runs and answers. The exit status is 1 where it does not."""
    from axiom import broker
    from streams.kafka import answers

    folder = _folder(data)
    running = broker.status(folder)
    does_answer = running is not None and asyncio.run(answers(running.bootstrap))
    facts: dict[str, Any] = {"is_running": running is not None, "answers": does_answer, "data": str(folder)}
    if running is not None:
        facts |= msgspec.to_builtins(running)
    state = "answers" if does_answer else "does not answer"
    text = f"{running.bootstrap} {state} (process {running.pid})" if running else f"{folder}: no broker runs"
    _tell(as_json=as_json, facts=facts, text=text)
    raise typer.Exit(0 if does_answer else 1)


def _folder(given: Path | None) -> Path:
    if given is not None:
        if given.exists() and not given.is_dir():
            raise InputError("data is not a folder", field="data", value=str(given))
        return given
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "axiom" / "kafka"


def _tell(*, as_json: bool, facts: dict[str, Any], text: str) -> None:
    if as_json:
        print_json(facts)
    else:
        say(text)
