"""The venue processes of a run: started, watched, started again when they die, and ended with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from axiom.runs import RunFolder
from axiom.venue_folder import VenueFolder
from domain.errors import Unavailable
from routing.venues import Venue

_READY_S: Final = 60.0
_STOP_S: Final = 8.0
_LOOK_S: Final = 0.1
_MAX_RESTARTS: Final = 20


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Fleet:
    """The processes of all venues of a run.

    Args:
        run: Folder of the run.
        venues: Which.
    """

    def __init__(self, run: RunFolder, venues: Sequence[Venue]) -> None:
        self.ports = {venue.mic: free_port() for venue in venues}
        self._run = run
        self._folders = {venue.mic: VenueFolder(run.path, venue.mic) for venue in venues}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._restarts = 0
        self._is_stopping = threading.Event()
        self._watch = threading.Thread(target=self._keep_alive, name="fleet", daemon=True)

    def start(self) -> None:
        """Start all and wait until they take connections.

        Raises:
            Unavailable: One ended, or is not ready in time; the end of its log is in the fields.
        """
        for mic in self._folders:
            self._spawn(mic)
        until = time.monotonic() + _READY_S
        for mic, folder in self._folders.items():
            while folder.pid() != self._processes[mic].pid:
                if self._processes[mic].poll() is not None or time.monotonic() > until:
                    tail = _last_line(folder.log)
                    self.stop()
                    raise Unavailable("a venue process did not come up", venue=mic, log=tail)
                time.sleep(_LOOK_S)
        self._watch.start()

    def stop(self) -> None:
        """End all, in order where they follow, by force where they do not."""
        self._is_stopping.set()
        for process in self._processes.values():
            process.terminate()
        until = time.monotonic() + _STOP_S
        for mic, process in self._processes.items():
            try:
                process.wait(max(until - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                structlog.get_logger().warning("venue.killed", venue=mic, reason="it did not stop")
                process.kill()
                process.wait()
            self._folders[mic].forget()

    def _spawn(self, mic: str) -> None:
        folder = self._folders[mic]
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.forget()
        with folder.log.open("ab") as log:
            options = {"--run": self._run.path, "--port": self.ports[mic], "--parent": os.getpid()}
            arguments = [str(part) for option in options.items() for part in option]
            self._processes[mic] = subprocess.Popen(
                [sys.executable, "-m", "axiom", "venue", mic, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _keep_alive(self) -> None:
        while not self._is_stopping.wait(_LOOK_S):
            for mic, process in list(self._processes.items()):
                code = process.poll()
                if code is None or self._is_stopping.is_set():
                    continue
                structlog.get_logger().warning("venue.died", venue=mic, code=code)
                self._restarts += 1
                if self._restarts <= _MAX_RESTARTS:
                    self._spawn(mic)


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return lines[-1][:500] if lines else ""
