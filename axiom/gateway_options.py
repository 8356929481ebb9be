"""What a gateway process is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fix.gateway import GatewaySettings
from streams.kafka_settings import Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """What a gateway process is given.

    Attributes:
        cluster: Where Kafka is.
        venues: Host and port of each venue, by MIC.
        data: Its folder: the record of what was sent.
        key: Of the seals.
        settings: How it sends.
        health_port: Of readiness and liveness; 0 takes a free one.
        deadline_s: In which it ends when it is told to.
    """

    cluster: Cluster
    venues: Mapping[str, tuple[str, int]]
    data: Path
    key: bytes = field(repr=False)
    settings: GatewaySettings
    health_port: int = 0
    deadline_s: float = 8.0
