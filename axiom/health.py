"""Endpoints of a process: /live, /ready and /metrics; on loopback, or on the address that AXIOM_HEALTH_HOST names.

/live answers 200 while the process makes progress, /ready while it does its work; else 503 and the reason. Both are
JSON. They are asked in a thread of their own, so that a loop that stands does not keep them from answering.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from axiom.telemetry import LOOPBACK
from domain.errors import InputError


class Finding(NamedTuple):
    """An answer of a probe."""

    is_well: bool
    facts: Mapping[str, Any]


Probe = Callable[[], Finding]
"""Called in a thread: it may read, and change nothing."""

JSON: Final = "application/json"
HEALTH_HOST: Final = "AXIOM_HEALTH_HOST"
"""The variable that names another address: in a container, where a neighbour asks, `0.0.0.0`."""


class HealthServer:
    """Serves the endpoints.

    Args:
        port: 0 takes a free one.
        live: Whether the process makes progress.
        ready: Whether it does its work.
        registry: The metrics.

    Raises:
        InputError: There is no such port or address, or it is taken.
    """

    def __init__(self, port: int, *, live: Probe, ready: Probe, registry: CollectorRegistry) -> None:
        probes = {"/live": live, "/ready": ready}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name that http.server asks for
                path = urlsplit(self.path).path
                if path == "/metrics":
                    self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry))
                elif (probe := probes.get(path)) is not None:
                    found = probe()
                    status = HTTPStatus.OK if found.is_well else HTTPStatus.SERVICE_UNAVAILABLE
                    self._answer(
                        status, JSON, orjson.dumps(dict(found.facts), default=str, option=orjson.OPT_NON_STR_KEYS)
                    )
                else:
                    self._answer(HTTPStatus.NOT_FOUND, JSON, orjson.dumps({"known": [*probes, "/metrics"]}))

            def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Probes come every few seconds: not logged."""

        try:
            self._server = ThreadingHTTPServer((os.environ.get(HEALTH_HOST) or LOOPBACK, port), Handler)
        except (OSError, OverflowError) as error:
            raise InputError("health port cannot be used", field="health_port", value=port, error=str(error)) from error
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(1.0)
