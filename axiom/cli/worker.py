"""`axiom worker`: one group of stages on Kafka, as a process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from axiom.telemetry import configure_logs


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("worker")(worker_command)


def worker_command(
    group: Annotated[str, typer.Argument(help="Which stages: reprice, quote, hedge, or desk for all of them.")],
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of the topics that share keys.")],
    data: Annotated[Path, typer.Option(help="Folder of its journals.")],
    bootstrap: Annotated[str, typer.Option(help="host:port of Kafka; by default AXIOM_KAFKA__BOOTSTRAP.")] = "",
    name: Annotated[str, typer.Option(help="Name of this worker; by default host and process.")] = "",
    health_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Loopback port of /live, /ready and /metrics; 0 takes a free one.")
    ] = 0,
) -> None:
    """Run a group of stages on Kafka until told to stop: it takes over partitions of workers that die.

    The key of the seals comes from the file that AXIOM_SEAL_KEY_FILE names.
    """
    from axiom.worker_process import WorkerOptions, main

    configure_logs()
    main(
        WorkerOptions(
            group=group, bootstrap=bootstrap, partitions=partitions, data=data, name=name, health_port=health_port
        ),
        os.environ,
    )
