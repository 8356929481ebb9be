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
    bootstrap: Annotated[str, typer.Option(help="host:port of Kafka, comma between.")],
    venue: Annotated[list[str], typer.Option(help="MIC=host:port of a venue's FIX acceptor; once for each venue.")],
    data: Annotated[Path, typer.Option(help="Folder of the record of what was sent.")],
    dead_man_ms: Annotated[
        int, typer.Option(min=0, help="Silence of an owner after which its quotes are pulled; 0 takes the default.")
    ] = 0,
    per_second: Annotated[int, typer.Option(min=0, help="Messages per second and session; 0 takes the default.")] = 0,
    health_port: Annotated[int, typer.Option(help="Readiness and liveness over HTTP; 0 takes a free one.")] = 0,
    health_host: Annotated[str, typer.Option(help="Address on which they are served.")] = "127.0.0.1",
) -> None:
    """Send what the risk gates let through, over FIX. AXIOM_SEAL_KEY_FILE names the file with the key of the seals."""
    from axiom.gateway_options import GatewayOptions
    from axiom.gateway_process import GatewayProcess
    from axiom.secret_file import seal_key
    from fix.application import leave
    from fix.gateway import GatewaySettings
    from streams.kafka_settings import Cluster, KafkaSettings

    data.mkdir(parents=True, exist_ok=True)
    configure_logs(data / "log.jsonl")
    given = {"dead_man_ms": dead_man_ms, "messages_per_s": per_second}
    options = GatewayOptions(
        cluster=Cluster.of(KafkaSettings(bootstrap=bootstrap, client_id="axiom-gateway"), os.environ),
        venues=dict(parse_venue(text) for text in venue),
        data=data,
        key=seal_key(os.environ),
        settings=GatewaySettings(**{name: value for name, value in given.items() if value}),
        health_port=health_port,
        health_host=health_host,
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
