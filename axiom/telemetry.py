"""Logs and metrics: structlog JSON on standard error or into a file, Prometheus on loopback."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final, TextIO, get_args

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from domain.errors import InputError
from domain.metrics import MetricName

LOOPBACK: Final = "127.0.0.1"
REDACTED: Final = "[redacted]"
_SECRET: Final = re.compile(r"passw|passphrase|secret|token|api_?key|credential|seal_key", re.IGNORECASE)
_BUCKETS: Final = tuple(base * scale for scale in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0) for base in (1.0, 2.0, 5.0))
_COUNTED: Final = frozenset(
    {
        "shard.inputs",
        "shard.duplicates",
        "shard.rejected",
        "quoting.quotes_sent",
        "orders.sent",
        "orders.fills",
        "risk.refusals",
        "journal.bytes",
        "feed.refused",
        "kafka.published",
        "kafka.superseded",
        "kafka.blocked",
        "kafka.received",
        "kafka.dead_letters",
        "kafka.expired",
        "cache.values",
        "cache.failures",
        "worker.replaced",
    }
)
_GAUGES: Final = frozenset(
    {
        "risk.pnl.total",
        "risk.exposure.delta",
        "run.event_time",
        "kafka.queued_bytes",
        "worker.owned",
        "worker.halted",
        "worker.lag",
    }
)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of fields whose names look like secrets, in nested ones too."""
    for name, value in event.items():
        event[name] = REDACTED if _SECRET.search(name) else _redacted(value)
    return event


def _redacted(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: REDACTED if _SECRET.search(str(name)) else _redacted(item) for name, item in value.items()}
    return [_redacted(item) for item in value] if isinstance(value, list | tuple) else value


def configure_logs(path: Path | None = None, level: int = 20) -> TextIO:
    """Send JSON log lines to a file, or to standard error; return the stream."""
    stream = sys.stderr if path is None else path.open("a", encoding="utf-8")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(serializer=lambda value, **_: orjson.dumps(value, default=str).decode()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    return stream


class PrometheusMetrics:
    """The Metrics protocol on a Prometheus registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for name in get_args(MetricName):
            wire = "axiom_" + name.replace(".", "_")
            about = f"{name}; see domain/metrics.py"
            if name in _COUNTED:
                self._counters[name] = Counter(wire, about, ["label"], registry=self.registry)
            elif name in _GAUGES:
                self._gauges[name] = Gauge(wire, about, ["label"], registry=self.registry)
            else:
                self._histograms[name] = Histogram(wire, about, ["label"], registry=self.registry, buckets=_BUCKETS)
        self._children: dict[tuple[str, str], Any] = {}

    def count(self, name: MetricName, value: float = 1.0, label: str = "") -> None:
        """Add to a counter."""
        self._child(self._counters, name, label).inc(value)

    def gauge(self, name: MetricName, value: float, label: str = "") -> None:
        """Set a gauge."""
        self._child(self._gauges, name, label).set(value)

    def observe(self, name: MetricName, value: float, label: str = "") -> None:
        """Record one value of a histogram."""
        self._child(self._histograms, name, label).observe(value)

    def serve(self, port: int) -> int:
        """Serve the registry on loopback; port 0 takes a free one. Returns the port.

        Raises:
            InputError: There is no such port, or it is taken.
        """
        try:
            server, _ = start_http_server(port, addr=LOOPBACK, registry=self.registry)
        except (OSError, OverflowError) as error:
            raise InputError(
                "metrics port cannot be used", field="metrics_port", value=port, error=str(error)
            ) from error
        return int(server.server_address[1])

    def _child(self, family: dict[str, Any], name: str, label: str) -> Any:  # noqa: ANN401  # a labelled child has no public type
        child = self._children.get((name, label))
        if child is None:
            child = self._children[name, label] = family[name].labels(label)
        return child
