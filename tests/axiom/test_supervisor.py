"""Processes come back when they die, are given up when they die for ever, and end when they are told to."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from axiom import supervisor as module
from axiom.supervisor import Member, Supervisor, pids
from domain.errors import Unavailable

LIMIT_S = 30.0


def member(folder: Path, name: str, *arguments: str, ends: bool = False) -> Member:
    return Member(name=name, arguments=arguments, environment={}, log=folder / f"{name}.log", ends=ends)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def until(supervisor: Supervisor, condition: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < LIMIT_S
        await supervisor.turn()
        await asyncio.sleep(0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "feed").mkdir()
    return tmp_path


def test_what_ends_in_order_is_done_and_what_dies_comes_back(folder: Path) -> None:
    """`axiom topics` ends with status 0: of a member that is to end it is done, of another it is a death."""

    async def work() -> None:
        watched = Supervisor(folder, [member(folder, "once", "topics", ends=True), member(folder, "ever", "topics")])
        watched.start()
        await until(watched, lambda: watched.is_done("once") and watched.restarts["ever"] >= 1)
        assert watched.restarts["once"] == 0
        assert await watched.stop(["ever"], 5.0)

    run(work())


def test_what_dies_for_ever_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_DEATHS", 1)

    async def work() -> None:
        watched = Supervisor(folder, [member(folder, "bad", "no-such-command")])
        watched.start()
        with pytest.raises(Unavailable, match="again and again") as told:
            await until(watched, lambda: False)
        assert told.value.fields["name"] == "bad"
        assert "no-such-command" in " ".join(told.value.fields["log"])  # type: ignore[arg-type]  # lines of a log

    run(work())


def test_what_a_killed_supervisor_left_behind_is_ended_first(folder: Path) -> None:
    async def work() -> None:
        arguments = ("tail", "--help", "--runs", str(folder))
        first = Supervisor(folder, [Member(name="left", arguments=arguments, environment={}, log=folder / "left.log")])
        first.start()
        left = pids(folder)["left"]
        await until(first, lambda: str(folder).encode() in Path(f"/proc/{left}/cmdline").read_bytes())
        os.kill(left, signal.SIGSTOP)  # it hangs, and nobody watches it any more
        second = Supervisor(folder, [member(folder, "new", "topics", ends=True)])
        second.start()
        assert state_of(left) == "Z"
        await first.stop(["left"], 1.0)
        await until(second, lambda: second.is_done("new"))

    run(work())


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
