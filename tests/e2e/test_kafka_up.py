"""The whole Kafka form on one machine: whatever is killed with -9 while it trades, the books agree at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from axiom import broker
from axiom.supervisor import STATE, end_remains, pids
from domain.partitioning import partition_of

pytestmark = pytest.mark.timeout(240)
LIMIT_S: Final = 120.0
SMALL: Final = {
    "AXIOM_SET_SYNTHETIC__CONTRACTS": "200",
    "AXIOM_SET_SYNTHETIC__SESSION_MINUTES": "1",
    "AXIOM_SET_SYNTHETIC__STEP_MS": "1000",
    "AXIOM_SET_SYNTHETIC__ORDERS_PER_MINUTE": "600",
}


class Running:
    """`axiom up` in a folder."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.log = folder.with_suffix(".err")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "axiom", "up", "--data", str(folder), "--json", *arguments],
                env={**os.environ, **SMALL},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something, as long as it runs."""
        until = time.monotonic() + LIMIT_S
        while not condition():
            assert self.process.poll() is None, f"{what}: it ended\n{self.log.read_text()[-3000:]}"
            assert time.monotonic() < until, f"{what}: not in time\n{self.log.read_text()[-3000:]}"
            time.sleep(0.1)

    def fills(self, underlying: str) -> int:
        """As its last line of progress says."""
        for line in reversed(self.log.read_text().splitlines()):
            for part in line.split("; "):
                if part.startswith(f"{underlying} "):
                    return int(part.split()[1])
        return 0

    def grow(self, underlying: str) -> None:
        """Wait until it trades on."""
        before = self.fills(underlying)
        self.until(lambda: self.fills(underlying) > before, f"{underlying} does not trade")

    def kill(self, name: str) -> None:
        """Kill a process with -9 and wait until another has its place."""
        old = pids(self.folder)[name]
        os.kill(old, signal.SIGKILL)
        self.until(lambda: pids(self.folder).get(name, old) != old, f"{name} does not come back")

    def owner(self, group: str, partition: int) -> str:
        """The worker that owns a partition."""
        for name, facts in msgspec.json.decode((self.folder / STATE).read_bytes()).items():
            if name.startswith(f"{group}-") and partition in _partitions(facts["health_port"]):
                return str(name)
        return ""

    def summary(self) -> dict[str, Any]:
        """What it says at its end."""
        out, _ = self.process.communicate(timeout=LIMIT_S)
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found

    def end(self) -> None:
        """Whatever happened: nothing of it is left."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate(timeout=30)
        end_remains(self.folder)
        broker.stop(self.folder / "kafka", deadline_s=0.0)


def _partitions(port: int) -> set[int]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2.0) as answer:
            facts = json.load(answer)
    except urllib.error.HTTPError as error:
        facts = json.load(error)
    except OSError:
        return set()
    return {int(number) for number in facts.get("partitions", {})}


@pytest.fixture
def started(tmp_path: Path, kafka_is_there: None) -> Iterator[Callable[..., Running]]:
    """Starts `axiom up`."""
    running: list[Running] = []

    def start(*arguments: str) -> Running:
        running.append(Running(tmp_path / f"up{len(running)}", *arguments))
        return running[-1]

    yield start
    for each in running:
        each.end()


def test_everything_may_be_killed_and_the_books_agree(started: Callable[..., Running]) -> None:
    """The quote worker of SYNA, the gateway, a venue, the feed and the broker, one after the other."""
    up = started("--synthetic", "2", "--workers", "2", "--speed", "1.5")
    up.until(lambda: up.fills("SYNA") > 3, "SYNA does not trade")
    owner = ""

    def is_owned() -> bool:
        nonlocal owner
        owner = up.owner("quote", partition_of("SYNA", 4))
        return bool(owner)

    up.until(is_owned, "nobody quotes SYNA")
    for name in ("gateway", "SIMA", "feed"):
        up.kill(name)
        up.grow("SYNA")
    up.kill(owner)
    up.grow("SYNA")
    broker.stop(up.folder / "kafka", deadline_s=0.0)
    up.grow("SYNA")

    summary = up.summary()
    assert summary["problems"] == []
    assert up.process.returncode == 0
    for name in ("gateway", "SIMA", "feed", owner, "kafka"):
        assert summary["restarts"][name] >= 1
    for facts in summary["underlyings"].values():
        assert facts["positions_equal"]
        assert facts["fills"] > 10
        assert facts["orders"] > 0
    assert sum(count for who, count in summary["takeovers"].items() if who.startswith("quote.")) >= 1


def test_an_interrupt_pulls_everything_in_time(started: Callable[..., Running]) -> None:
    """Ctrl-C: quotes are gone, positions agree, nothing is left running, within the deadline."""
    up = started("--synthetic", "1", "--workers", "1", "--colocated", "--speed", "1")
    up.until(lambda: up.fills("SYNA") > 0, "SYNA does not trade")
    processes = pids(up.folder)
    begun = time.monotonic()
    up.process.send_signal(signal.SIGINT)
    summary = up.summary()
    assert time.monotonic() - begun < 30.0
    assert up.process.returncode == 130
    assert summary["is_interrupted"]
    assert summary["problems"] == []
    for mic in ("SIMA", "SIMB"):
        book = json.loads((up.folder / "venues" / mic / "book.json").read_bytes())["SYNA"]
        assert book["resting_quotes"] == book["resting_orders"] == 0
    for pid in processes.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
