"""`axiom cache`: the process that keeps the shared cache up to date from Kafka."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("cache")(cache_command)


def cache_command(
    bootstrap: Annotated[str, typer.Option(help="host:port of Kafka; by default AXIOM_KAFKA__BOOTSTRAP.")] = "",
    redis: Annotated[str, typer.Option(help="redis://host:port, rediss:// for TLS; goes before cache.url.")] = "",
    settings: Annotated[Path | None, typer.Option(help="TOML file of settings: its section `cache`.")] = None,
    health_port: Annotated[
        int, typer.Option(min=0, max=65535, help="/live, /ready, /metrics; 0 takes a free one.")
    ] = 0,
    log: Annotated[Path | None, typer.Option(help="File for the log; standard error without it.")] = None,
) -> None:
    """Keep the last values of every underlying in Redis, for screens and tools outside the stream."""
    from axiom.cache_process import CacheOptions, main
    from axiom.cluster import cluster_of
    from axiom.settings import load
    from axiom.telemetry import configure_logs

    chosen = load(settings, os.environ).cache
    if redis:
        chosen = msgspec.structs.replace(chosen, url=redis)
    configure_logs(log)
    asyncio.run(main(CacheOptions(cluster=cluster_of(bootstrap, os.environ), cache=chosen, health_port=health_port)))
