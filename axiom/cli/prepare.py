"""`axiom declare` and `axiom key`: what a deployment on Kafka needs once, before its processes start."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from axiom.cli.options import AsJson
from axiom.console import print_json, say


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("declare")(declare_command)
    app.command("key")(key_command)


def declare_command(
    partitions: Annotated[int, typer.Option(min=1, help="Of the topics that share keys. It never changes.")] = 4,
    replicas: Annotated[int, typer.Option(min=1, help="Of each partition.")] = 1,
    bootstrap: Annotated[str, typer.Option(help="host:port of Kafka; by default AXIOM_KAFKA__BOOTSTRAP.")] = "",
    as_json: AsJson = False,
) -> None:
    """Create the topics that are missing on a Kafka, and check those that are there. Safe to repeat."""
    from axiom.cluster import cluster_of
    from streams.kafka_topics import declare

    found = asyncio.run(declare(cluster_of(bootstrap, os.environ), partitions, replicas=replicas))
    if as_json:
        print_json({"topics": found})
    else:
        say("\n".join(f"{name:20} {count}" for name, count in found.items()))


def key_command(path: Annotated[Path, typer.Argument(help="The file; its folder exists.")]) -> None:
    """Make the key with which gates seal and the gateway verifies, in a file of our own; one that is there stays.

    AXIOM_SEAL_KEY_FILE then names it, for workers and the gateway.
    """
    from axiom.secret_file import make_secret

    say(str(make_secret(path)))
