"""Processes that belong together: started, watched, started again when they die, and ended in order.

A member that dies is started again after a pause that doubles while it keeps dying; one that dies too often is given
up, and with it the whole. A member whose `/live` no longer answers is killed and started again: nothing inside a
process that hangs can be trusted to end it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from axiom.runs import write_atomically
from domain.errors import Unavailable

STATE: Final = "processes.json"
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_SOUND_S: Final = 30.0
"""A member that lived so long begins with a short pause again."""

_MAX_DEATHS: Final = 12
"""Deaths in a row, none of them after a sound life."""

_PROBE_S: Final = 2.0
_MAX_MISSED: Final = 8
_BIRTH_S: Final = 90.0
"""A member that has not answered yet is given so long: what it reads at its start may be much."""

_GONE_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One process.

    Attributes:
        name: Short and unique.
        arguments: Of the command line, without `axiom`.
        environment: What it has beside ours.
        log: Where its output goes.
        health_port: Of its probes; 0 has none.
        ends: Whether it ends by itself, with status 0, when its work is done.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    health_port: int = 0
    ends: bool = False


@dataclass(slots=True)
class _Running:
    member: Member
    process: subprocess.Popen[bytes] | None = None
    born: float = 0.0
    due: float = 0.0
    deaths: int = 0
    restarts: int = 0
    missed: int = 0
    has_answered: bool = False
    is_done: bool = False
    is_stopping: bool = False


@dataclass(slots=True)
class Supervisor:
    """Keeps members alive. `turn` is to be called every tenth of a second or so.

    Args:
        folder: Where it says which processes there are.
        members: In the order in which they are started.
    """

    folder: Path
    members: Sequence[Member]
    _running: dict[str, _Running] = field(default_factory=dict)
    _probed: float = 0.0

    def start(self) -> None:
        """Start all, after what an earlier supervisor of this folder left behind is gone."""
        end_remains(self.folder)
        for member in self.members:
            self._running[member.name] = _Running(member)
            self._spawn(self._running[member.name])

    @property
    def restarts(self) -> dict[str, int]:
        """How often each was started again."""
        return {name: each.restarts for name, each in self._running.items()}

    def is_done(self, name: str) -> bool:
        """Whether a member has done its work."""
        return self._running[name].is_done

    async def turn(self) -> None:
        """Look after everybody once.

        Raises:
            Unavailable: One dies again and again; the end of its log is in the fields.
        """
        now = time.monotonic()
        for each in self._running.values():
            self._look(each, now)
        if now - self._probed >= _PROBE_S:
            self._probed = now
            await asyncio.gather(*(self._probe(each) for each in self._running.values()))

    async def stop(self, names: Sequence[str], deadline_s: float) -> bool:
        """End members, together, by force at the deadline; return whether all went by themselves."""
        chosen = [self._running[name] for name in names if name in self._running]
        for each in chosen:
            each.is_stopping = True
            if each.process is not None and each.process.poll() is None:
                each.process.send_signal(signal.SIGCONT)
                each.process.terminate()
        until = time.monotonic() + deadline_s
        while any(each.process is not None and each.process.poll() is None for each in chosen):
            if time.monotonic() > until:
                break
            await asyncio.sleep(0.05)
        is_clean = True
        for each in chosen:
            if each.process is not None and each.process.poll() is None:
                structlog.get_logger().warning("process.killed", name=each.member.name, reason="it did not end")
                each.process.kill()
                each.process.wait(_GONE_S)
                is_clean = False
        self._tell()
        return is_clean

    # --- inside -------------------------------------------------------------------------------------------------------
    def _look(self, each: _Running, now: float) -> None:
        if each.is_done or each.is_stopping:
            return
        if each.process is None:
            if now >= each.due:
                each.restarts += 1
                self._spawn(each)
            return
        code = each.process.poll()
        if code is None:
            return
        if each.member.ends and code == 0:
            each.is_done = True
            return
        each.deaths = 1 if now - each.born > _SOUND_S else each.deaths + 1
        pause = min(_FIRST_PAUSE_S * 2.0 ** (each.deaths - 1), _LONGEST_PAUSE_S)
        each.process, each.due = None, now + pause
        structlog.get_logger().warning("process.died", name=each.member.name, code=code, again_in_s=pause)
        if each.deaths > _MAX_DEATHS:
            raise Unavailable(
                "a process dies again and again", name=each.member.name, code=code, log=last_lines(each.member.log)
            )

    async def _probe(self, each: _Running) -> None:
        if each.process is None or not each.member.health_port or each.is_stopping or each.process.poll() is not None:
            return
        process = each.process
        is_well = await is_live(each.member.health_port)
        if each.process is not process:
            return
        each.has_answered |= is_well
        each.missed = 0 if is_well else each.missed + 1
        is_born = each.has_answered or time.monotonic() - each.born > _BIRTH_S
        if each.missed >= _MAX_MISSED and is_born:
            each.missed = 0
            structlog.get_logger().warning("process.stalled", name=each.member.name)
            process.kill()

    def _spawn(self, each: _Running) -> None:
        member = each.member
        member.log.parent.mkdir(parents=True, exist_ok=True)
        with member.log.open("ab") as log:
            each.process = subprocess.Popen(
                [sys.executable, "-m", "axiom", *member.arguments],
                env={**os.environ, **member.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # the terminal's Ctrl-C is for us: quotes are pulled first
            )
        each.born, each.missed, each.has_answered = time.monotonic(), 0, False
        self._tell()

    def _tell(self) -> None:
        facts: dict[str, Any] = {
            name: {"pid": each.process.pid, "health_port": each.member.health_port, "restarts": each.restarts}
            for name, each in self._running.items()
            if each.process is not None and each.process.poll() is None
        }
        write_atomically(self.folder / STATE, msgspec.json.encode(facts))


def end_remains(folder: Path) -> None:
    """Kill the processes that a supervisor of this folder left behind when it was killed itself."""
    for name, pid in pids(folder).items():
        if _is_ours(pid, folder):
            structlog.get_logger().warning("process.left_behind", name=name, pid=pid)
            os.kill(pid, signal.SIGKILL)
            until = time.monotonic() + _GONE_S
            while _is_ours(pid, folder) and time.monotonic() < until:
                time.sleep(0.02)


def pids(folder: Path) -> dict[str, int]:
    """The processes of a supervisor, by name, as it last said."""
    try:
        found: dict[str, dict[str, Any]] = msgspec.json.decode((folder / STATE).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return {}
    return {name: int(facts["pid"]) for name, facts in found.items()}


def last_lines(log: Path, count: int = 5) -> list[str]:
    """The end of a log."""
    try:
        return [line[:300] for line in log.read_text(errors="replace").splitlines()[-count:]]
    except OSError:
        return []


async def is_live(port: int, deadline_s: float = _PROBE_S) -> bool:
    """Whether a process says on its health port that it makes progress."""
    try:
        async with asyncio.timeout(deadline_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /live HTTP/1.0\r\n\r\n")
            await writer.drain()
            status = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status


def _is_ours(pid: int, folder: Path) -> bool:
    """Whether a process is one of these: its command line names the folder."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"axiom" in command and any(part.startswith(os.fsencode(folder)) for part in command)
