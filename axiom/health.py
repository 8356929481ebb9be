"""Readiness and liveness of a process, over HTTP, for whoever starts and watches it.

`GET /live` is 200 while the process's loop turns: a watchdog restarts it otherwise. `GET /ready` is 200 while every
check is content: only then is work sent to it. Both answer with JSON that says why not.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

import orjson

from domain.errors import InputError

LOOPBACK: Final = "127.0.0.1"
_LONGEST_HEAD: Final = 8_192
_PATIENCE_S: Final = 5.0


class Health:
    """What a process says of itself.

    Args:
        name: Of the process.
        stall_s: Seconds without a `beat` after which it is not alive.
    """

    def __init__(self, name: str, stall_s: float = 10.0) -> None:
        self._name = name
        self._stall_s = stall_s
        self._last = time.monotonic()
        self._checks: dict[str, Callable[[], str]] = {}
        self._facts: dict[str, Callable[[], Any]] = {}
        self._server: asyncio.Server | None = None

    def beat(self) -> None:
        """The loop turns."""
        self._last = time.monotonic()

    def check(self, name: str, reason: Callable[[], str]) -> None:
        """Be ready only while `reason` gives an empty string."""
        self._checks[name] = reason

    def tell(self, name: str, fact: Callable[[], Any]) -> None:
        """Add a fact to the answers."""
        self._facts[name] = fact

    def live(self) -> tuple[bool, dict[str, Any]]:
        """Whether the process is alive."""
        silent = time.monotonic() - self._last
        return silent <= self._stall_s, {"name": self._name, "silent_s": round(silent, 3)}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether it does its work."""
        reasons = {name: reason for name, check in self._checks.items() if (reason := check())}
        facts = {name: fact() for name, fact in self._facts.items()}
        return not reasons, {"name": self._name, "not_ready": reasons, **facts}

    async def serve(self, port: int, host: str = LOOPBACK) -> int:
        """Begin to answer; port 0 takes a free one. Returns the port.

        Raises:
            InputError: The port is taken.
        """
        try:
            self._server = await asyncio.start_server(self._answer, host, port, limit=_LONGEST_HEAD)
        except OSError as error:
            raise InputError("health port cannot be used", field="port", value=port, error=str(error)) from error
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Stop answering."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                status, body = self._served(head.split(b" ", 2)[1] if head.count(b" ") > 1 else b"")
                payload = orjson.dumps(body, default=str)
                fields = f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\nConnection: close"
                writer.write(f"HTTP/1.1 {status}\r\n{fields}\r\n\r\n".encode() + payload)
                await writer.drain()
        writer.close()

    def _served(self, path: bytes) -> tuple[str, dict[str, Any]]:
        if path == b"/live":
            is_good, body = self.live()
        elif path == b"/ready":
            is_good, body = self.ready()
        else:
            return "404 Not Found", {"known": ["/live", "/ready"]}
        return ("200 OK" if is_good else "503 Service Unavailable"), body
