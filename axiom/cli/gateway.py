"""`axiom gateway`: order entry between Kafka and the venues, until told to stop."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from axiom.telemetry import configure_logs
from domain.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gateway")(gateway_command)


def gateway_command(
    venue: Annotated[list[str], typer.Option(help="MIC=host:port of a venue's FIX acceptor; once for each venue.")],
    data: Annotated[Path, typer.Option(help="Folder of the record of what was sent.")],
    bootstrap: Annotated[str, typer.Option(help="host:port of Kafka; by default AXIOM_KAFKA__BOOTSTRAP.")] = "",
    health_port: Annotated[int, typer.Option(help="Readiness and liveness over HTTP; 0 takes a free one.")] = 0,
) -> None:
    """Send what the risk gates let through, over FIX. AXIOM_SEAL_KEY_FILE names the file with the key of the seals."""
    from axiom.cluster import cluster_of, seal_key, settings_from
    from axiom.gateway_options import GatewayOptions
    from axiom.gateway_process import GatewayProcess
    from fix.application import leave
    from fix.gateway import GatewaySettings

    data.mkdir(parents=True, exist_ok=True)
    configure_logs(data / "log.jsonl")
    options = GatewayOptions(
        cluster=cluster_of(bootstrap, os.environ),
        venues=dict(parse_venue(text) for text in venue),
        data=data,
        key=seal_key(os.environ),
        settings=settings_from(GatewaySettings, "GATEWAY", os.environ),
        health_port=health_port,
    )
    asyncio.run(GatewayProcess(options).run())
    leave(0)


def parse_venue(text: str) -> tuple[str, tuple[str, int]]:
    """MIC, host and port of `MIC=host:port`.

    Raises:
        InputError: It is not of that form.
    """
    mic, _, place = text.partition("=")
    host, _, port = place.rpartition(":")
    if not (mic and host and port.isdigit()):
        raise InputError("a venue is named MIC=host:port", field="venue", value=text)
    return mic, (host, int(port))
