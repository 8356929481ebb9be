"""The folder of one venue of a run: its journal, its log, and how people reach its process."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from pathlib import Path
from typing import Final, Literal

import msgspec

from axiom.runs import write_atomically
from domain.errors import InputError, Unavailable
from routing.misbehaviour import Misbehaviour

VENUES: Final = "venues"
_PATIENCE_S: Final = 0.05
Act = Literal["kill", "pause", "continue"]
_SIGNALS: Final[dict[Act, signal.Signals]] = {
    "kill": signal.SIGKILL,
    "pause": signal.SIGSTOP,
    "continue": signal.SIGCONT,
}


class VenueFolder:
    """Paths of one venue of a run."""

    def __init__(self, run: Path, mic: str) -> None:
        self.mic = mic
        self.path = run / VENUES / mic
        self.journal = self.path / "journal"
        self.log = self.path / "log.jsonl"
        self.behaviour = self.path / "behaviour.json"
        self._process = self.path / "process.json"

    def claim(self, patience_s: float = 15.0) -> None:
        """Be the only process of this venue, until this process ends; waits for one that is ending.

        Raises:
            Unavailable: Another process keeps it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise Unavailable("another process is this venue", venue=self.mic) from error
                time.sleep(_PATIENCE_S)
            else:
                return

    def say_ready(self, pid: int) -> None:
        """Note that the process takes connections."""
        write_atomically(self._process, json.dumps({"pid": pid}).encode())

    def forget(self) -> None:
        """Note that there is no process."""
        self._process.unlink(missing_ok=True)

    def pid(self) -> int | None:
        """The process that takes connections, None while there is none."""
        try:
            return int(json.loads(self._process.read_text())["pid"])
        except (OSError, ValueError, KeyError):
            return None

    def act(self, act: Act) -> None:
        """Kill, freeze or thaw the process.

        Raises:
            Unavailable: There is none.
        """
        self._signal(_SIGNALS[act])

    def tell(self, behaviour: Misbehaviour) -> None:
        """Have the venue misbehave from now on.

        Raises:
            Unavailable: There is no process.
        """
        write_atomically(self.behaviour, msgspec.json.encode(behaviour))
        self._signal(signal.SIGHUP)

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid()
        try:
            if pid is None:
                raise ProcessLookupError
            os.kill(pid, number)
        except ProcessLookupError as error:
            raise Unavailable("the venue is not running", venue=self.mic) from error


def venue_folder(run: Path, mic: str) -> VenueFolder:
    """The folder of a venue that runs as a process.

    Raises:
        InputError: The run has no such venue process.
    """
    known = sorted(path.name for path in (run / VENUES).glob("*") if path.is_dir())
    if mic not in known:
        raise InputError("no such venue process", field="venue", value=mic, known=", ".join(known) or "none")
    return VenueFolder(run, mic)
