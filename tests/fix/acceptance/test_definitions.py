"""The session layer against definitions that were written for another engine, every one of them unmodified.

They lie beside the checkout and never enter it. Files of one acceptor run one after the other, because they share its
CompIDs; so several acceptors run at the same time, and most of that time is waiting for heartbeats.
"""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ACCEPTOR: Final = Path(__file__).with_name("acceptor.py")
SOH: Final = b"\x01"
RECEIVE_S: Final = 12.0
ACCEPTORS: Final = 3  # of each version
WAITS: Final = ("6_", "4a_")  # half a minute and twelve seconds of heartbeats, no orders: first to start
VERSIONS: Final = {"fix42": ("FIX.4.2", "TW42"), "fix44": ("FIX.4.4", "TW44")}
LINE: Final = re.compile(rb"(?P<kind>[IEie])(?:(?P<connection>\d+),)?(?P<rest>.*)", re.DOTALL)
TIME: Final = re.compile(rb"<TIME(?P<shift>[+-]\d+)?>")


class Unlike(Exception):
    """What came is not what the definition says."""


class Verdict(NamedTuple):
    """How a definition ended; an empty reason is a pass."""

    name: str
    reason: str


class Connection:
    """One TCP connection of the definition's side, with what was received and not yet used."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), RECEIVE_S)
        self.buffer = b""

    def message(self) -> bytes:
        """The next message, cut by its own body length; fails at the end of the stream."""
        until = time.monotonic() + RECEIVE_S
        while True:
            head = re.match(rb"8=[^\x01]*\x019=(\d+)\x01", self.buffer)
            if head is not None:
                end = head.end() + int(head[1]) + len(b"10=000\x01")
                if len(self.buffer) >= end:
                    message, self.buffer = self.buffer[:end], self.buffer[end:]
                    return message
            if not self.receive(until):
                raise Unlike(f"the peer closed the connection; received {shown(self.buffer)!r}")

    def receive(self, until: float) -> bool:
        """Add to the buffer. False at the end of the stream; too late is a failure."""
        self.socket.settimeout(max(until - time.monotonic(), 0.001))
        try:
            data = self.socket.recv(65_536)
        except TimeoutError:
            raise Unlike(f"nothing within {RECEIVE_S:.0f} s; received {shown(self.buffer)!r}") from None
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)


class Definition:
    """One file: what its side sends and what it expects."""

    def __init__(self, path: Path, port: int) -> None:
        self._lines = [line.rstrip(b"\r") for line in path.read_bytes().split(b"\n")]
        self._patterns = patterns(path.parent.parent / "fields.fmt")
        self._port = port
        self._connections: dict[int, Connection] = {}

    def run(self) -> str:
        """Go through the file; the reason why it failed, empty if it did not."""
        try:
            for number, line in enumerate(self._lines, 1):
                if reason := self._step_of(line):
                    return f"line {number}: {reason}"
        finally:
            for which in [*self._connections]:
                self._close(which)
        return ""

    def _close(self, which: int) -> None:
        if which in self._connections:
            self._connections.pop(which).socket.close()

    def _step_of(self, line: bytes) -> str:
        """Do what a line says; the reason why it failed, empty if it did not."""
        if not line or line.startswith(b"#"):
            return ""
        try:
            self._step(line)
        except (Unlike, OSError) as error:
            return f"{error}"
        return ""

    def _step(self, line: bytes) -> None:
        match = LINE.fullmatch(line)
        if match is None:
            raise Unlike(f"cannot read {shown(line)!r}")
        which = int(match["connection"] or 1)
        kind, rest = match["kind"], match["rest"]
        if kind == b"i" and rest == b"CONNECT":
            self._close(which)
            self._connections[which] = Connection(self._port)
        elif kind == b"i" and rest == b"DISCONNECT":
            self._close(which)
        elif kind == b"e" and rest == b"DISCONNECT":
            self._expect_end(self._connections[which])
        elif kind == b"I":
            self._connections[which].socket.sendall(framed(timed(rest)))
        elif kind == b"E":
            self._expect(framed(rest), self._connections[which].message())
        else:
            raise Unlike(f"cannot read {shown(line)!r}")

    def _expect_end(self, connection: Connection) -> None:
        until = time.monotonic() + RECEIVE_S
        while connection.receive(until):
            pass
        if connection.buffer:
            raise Unlike(f"expected the end of the connection, received {shown(connection.buffer)!r}")

    def _expect(self, expected: bytes, received: bytes) -> None:
        wanted, got = fields(expected), fields(received)
        alike = [tag for tag, _ in wanted] == [tag for tag, _ in got] and all(
            # The lengths in the definitions are not those of their own lines: the one received cut the message.
            tag == b"9" or (self._patterns[tag].match(have) is not None if tag in self._patterns else have == want)
            for (tag, want), (_, have) in zip(wanted, got, strict=True)
        )
        if not alike:
            raise Unlike(f"expected {shown(expected)!r}, received {shown(received)!r}")


def shown(message: bytes) -> str:
    return message.replace(SOH, b"|").decode(errors="replace")


def fields(message: bytes) -> list[tuple[bytes, bytes]]:
    return [(tag, value) for tag, _, value in (field.partition(b"=") for field in message.split(SOH)[:-1])]


def patterns(path: Path) -> dict[bytes, re.Pattern[bytes]]:
    """Fields whose value is not compared but matched, at its beginning: times may have fractions of a second."""
    pairs = (line.strip().partition(b"=") for line in path.read_bytes().splitlines())
    return {tag: re.compile(pattern) for tag, _, pattern in pairs if tag}


def timed(message: bytes) -> bytes:
    """Put the time in, shifted by seconds where the definition says so."""
    now = datetime.now(UTC)
    return TIME.sub(
        lambda match: (now + timedelta(seconds=int(match["shift"] or 0))).strftime("%Y%m%d-%H:%M:%S").encode(), message
    )


def framed(message: bytes) -> bytes:
    """Add body length and checksum where the definition leaves them out; wrong ones are sent as they are."""
    begin, _, rest = message.partition(SOH)
    if not rest.startswith(b"9="):
        body = rest.partition(SOH + b"10=")[0] + SOH if SOH + b"10=" in rest else rest
        message = begin + SOH + b"9=%d" % len(body) + SOH + rest
    if SOH + b"10=" not in message:
        message += b"10=%03d" % (sum(message) % 256) + SOH
    return message


@contextlib.contextmanager
def acceptor(version: str, *options: str) -> Iterator[int]:
    """A process that listens; its port. It must end by itself, without a failure in a callback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, str(ACCEPTOR), *VERSIONS[version], str(port), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n", process.communicate(timeout=10)[1].decode()
            yield port
            errors = process.communicate(timeout=20)[1].decode()
            assert process.returncode == 0, errors
        finally:
            process.kill()


def run_all(paths: Sequence[Path], version: str, *options: str) -> list[Verdict]:
    """Run definitions of a version, each acceptor taking the next file when it is done with one."""
    waiting: queue.SimpleQueue[Path] = queue.SimpleQueue()
    for path in sorted(paths, key=lambda path: not path.name.startswith(WAITS)):
        waiting.put(path)

    def work(_: int) -> list[Verdict]:
        verdicts = []
        with acceptor(version, *options) as port, contextlib.suppress(queue.Empty):
            while True:
                path = waiting.get_nowait()
                verdicts.append(Verdict(path.stem, Definition(path, port).run()))
        return verdicts

    with ThreadPoolExecutor(ACCEPTORS) as threads:
        return sorted(verdict for verdicts in threads.map(work, range(ACCEPTORS)) for verdict in verdicts)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_definition_passes(acceptance_definitions: Path) -> None:
    files = {version: sorted((acceptance_definitions / version).glob("*.def")) for version in VERSIONS}
    with ThreadPoolExecutor(len(VERSIONS)) as threads:
        verdicts = dict(zip(files, threads.map(run_all, files.values(), files), strict=True))
    failed = [f"{version}/{v.name}: {v.reason}" for version, found in verdicts.items() for v in found if v.reason]
    assert failed == []
    assert {version: len(found) for version, found in verdicts.items()} == {"fix42": 58, "fix44": 59}


@pytest.mark.data
@pytest.mark.slow
def test_an_acceptor_that_takes_possible_resends_fails_one_definition_and_no_other(
    acceptance_definitions: Path,
) -> None:
    files = [path for path in (acceptance_definitions / "fix44").glob("*.def") if not path.name.startswith(WAITS)]
    verdicts = run_all(files, "fix44", "--takes-possible-resends")
    assert [v.name for v in verdicts if v.reason] == ["19a_PossResendMessageThatHAsAlreadyBeenSent"]
    assert len(verdicts) == 57
