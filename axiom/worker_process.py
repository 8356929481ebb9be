"""A worker as a process: one group of stages on Kafka, until it is told to stop.

Exit status: 0 after SIGTERM or Ctrl-C, 2 where it could not start, `streams.watchdog.STALLED` and
`streams.assignment.FAILED` where whoever supervises it should start it again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import msgspec
import structlog

from axiom.cluster import cluster_of, seal_key, settings_from
from axiom.health import Finding, HealthServer
from axiom.runs import write_atomically
from axiom.telemetry import PrometheusMetrics
from axiom.tenures import Tenures
from domain.codec import decode
from domain.errors import InputError
from streams.groups import GROUPS, Group
from streams.kafka_publisher import Publisher
from streams.kafka_settings import security_options
from streams.messages import Outgoing
from streams.topology import GATE
from streams.watchdog import STALLED, LoopGuard
from streams.worker import Worker, credentials, prepare
from streams.worker_settings import WorkerSettings

TOLD: Final = frozenset(
    {
        "OrderCleared",
        "OrderCancelCleared",
        "OrderReplaceCleared",
        "OrderFilled",
        "OrderRefused",
        "OrderStateChanged",
        "RequestOrder",
        "KillSwitchEngaged",
        "KillSwitchReleased",
        "LimitBreached",
        "ShardHalted",
        "EventRejected",
    }
)
"""What is logged of all that leaves: orders by ClOrdID and what is wrong, never per tick."""

_LEVELS: Final = {"halted": "error", "replaced": "warning", "gap": "error", "ends": "error", "unavailable": "warning"}
FETCH_WAIT: Final = "AXIOM_KAFKA__FETCH_WAIT_MS"
_FETCH_MS: Final = 50
"""A question to the broker waits behind the fetch before it, and a takeover asks several."""

_TURN_S: Final = 0.25
_QUIET_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What a worker is asked to be.

    Attributes:
        group: Name of the group of stages.
        bootstrap: `host:port` of Kafka.
        partitions: Of every topic that shares keys.
        data: Folder of its journals.
        name: Which people will see; empty takes host and process.
        health_port: On loopback; 0 takes a free one.
    """

    group: str
    bootstrap: str
    partitions: int
    data: Path
    name: str = ""
    health_port: int = 0


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself in its folder, in `NAME.json`, as soon as it answers on its health port."""

    name: str
    group: str
    pid: int
    health_port: int


class Log:
    """Writes what happens to the log of the process."""

    def __init__(self) -> None:
        self._log = structlog.get_logger()

    def happened(self, what: str, **fields: object) -> None:
        """One line."""
        level = _LEVELS.get(what.rpartition(".")[2], "info")
        getattr(self._log, level)(what, **fields)

    def left(self, outgoing: Outgoing) -> None:
        """One line for an order and for what is wrong."""
        if outgoing.message.schema not in TOLD:
            return
        event = decode(*outgoing.message)
        fields = {name: _plain(getattr(event, name)) for name in event.__struct_fields__ if name not in _UNTOLD}
        for name in ("order", "cancel", "replace"):
            if (inner := getattr(event, name, None)) is not None:
                fields["clordid"] = getattr(inner, "clordid", "")
        if "event" in fields:  # the name that the log has for itself
            fields["about"] = fields.pop("event")
        self._log.info(f"{outgoing.topic}.published", schema=outgoing.message.schema, **fields)


_UNTOLD: Final = frozenset({"ts_init", "seal", "party", "frame"})


def _plain(value: object) -> object:
    return msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value


def main(options: WorkerOptions, environment: Mapping[str, str]) -> NoReturn:
    """Be a worker; does not return.

    Raises:
        SettingsError: A setting, a topic or the seal key is not as it must be.
        Unavailable: The broker did not answer in time.
    """
    group = GROUPS.get(options.group)
    if group is None:
        raise InputError("unknown group", field="group", value=options.group, known=", ".join(GROUPS))
    logging.basicConfig(level=logging.WARNING, handlers=[_Library()])
    status = asyncio.run(_work(group, options, environment))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # threads of Faust may hang on a broker that is away


async def _work(group: Group, options: WorkerOptions, environment: Mapping[str, str]) -> int:
    settings = settings_from(WorkerSettings, "WORKER", environment)
    cluster = cluster_of(options.bootstrap, {FETCH_WAIT: str(_FETCH_MS), **environment})
    key = seal_key(environment) if GATE in group.stages else None
    owner = options.name or f"{group.name}.{socket.gethostname()}.{os.getpid()}"
    log, metrics = Log(), PrometheusMetrics()
    counts = await prepare(cluster, group, options.partitions, settings)
    publisher = await Publisher.open(cluster, counts, metrics, settings.start_s)
    options.data.mkdir(parents=True, exist_ok=True)
    tenures = Tenures(options.data, group, options.partitions, owner, key, settings.kept_tenures, metrics)
    worker = Worker(
        group,
        options.partitions,
        cluster=cluster,
        credentials=credentials(security_options(cluster.settings, environment)),
        publisher=publisher,
        build=tenures.begin,
        owner=owner,
        data=str(options.data / "faust"),
        settings=settings,
        reports=log,
        metrics=metrics,
    )
    should_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, should_stop.set)
    guard = LoopGuard(settings.stall_s, lambda: _stalled(log))
    turning = asyncio.create_task(_turn(guard))

    def ready() -> Finding:
        standing = worker.assignment.standing
        return Finding(standing.is_ready, {"name": owner, "group": group.name, **standing._asdict()})

    health = HealthServer(
        options.health_port,
        live=lambda: Finding(guard.is_turning, {"name": owner, "pid": os.getpid()}),
        ready=ready,
        registry=metrics.registry,
    )
    health.start()
    told = Told(name=owner, group=group.name, pid=os.getpid(), health_port=health.port)
    write_atomically(options.data / f"{owner}.json", msgspec.json.encode(told))
    guard.start()
    log.happened("worker.started", name=owner, group=group.name, health_port=health.port)
    try:
        status = await worker.run(should_stop)
    finally:
        is_clean = await publisher.close(settings.stop_s / 4)
        guard.stop()
        turning.cancel()
        health.stop()
    log.happened("worker.stopped", name=owner, status=status, is_clean=is_clean)
    return status


async def _turn(guard: LoopGuard) -> None:
    while True:
        guard.turned()
        await asyncio.sleep(_TURN_S)


def _stalled(log: Log) -> None:
    log.happened("worker.ends", status=STALLED, why="the event loop stands")
    sys.stderr.flush()
    os._exit(STALLED)


class _Library(logging.Handler):
    """Warnings of libraries, as lines of our log; the same one again only after a while, with how often it came."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        kind, now = (record.name, str(record.msg)), time.monotonic()
        since, times = self._said.get(kind, (-_QUIET_S, 0))
        if now - since < _QUIET_S:
            self._said[kind] = since, times + 1
            return
        self._said[kind] = now, 0
        text = record.getMessage()[:2_000]
        structlog.get_logger().warning("library.warned", library=record.name, text=text, repeated=times)
