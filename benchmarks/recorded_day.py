"""The bars of a recorded day: one run after another must end alike, also with another hash seed and after kills.

Runs GOOG on 24 December 2015 at full speed in processes of their own: three times, with another PYTHONHASHSEED, in a
replay, and with `kill -9` at random moments followed by a resume. Reports digests, times, memory and what the first run
found. Needs the recorded data (`AXIOM_SHARED`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks._report import CHECKOUT, environment
from streams.journal import segments

SHARED: Final = Path(os.environ.get("AXIOM_SHARED", CHECKOUT.parent / "shared"))
DAY: Final = ("--source", "lean", "--underlying", "GOOG", "--date", "2015-12-24", "--speed", "max")
KEPT: Final = (
    *("events", "quotes_sent", "orders", "fills", "rejects", "pnl", "crossed_own_quotes", "gate_bypasses"),
    *("positions_equal_fills", "quality", "tick_to_quote_us", "peak_rss_mib", "wall_seconds", "problems", "digest"),
)


class Runner:
    """Runs commands in a folder that goes away."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs

    def start(self, *arguments: str, hash_seed: str = "random") -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "axiom", *arguments, "--json", "--runs", str(self.runs)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def json(self, *arguments: str, hash_seed: str = "random") -> dict[str, Any]:
        """Run a command to its end; its JSON object, with the time it took and its exit status."""
        began = time.perf_counter()
        process = self.start(*arguments, hash_seed=hash_seed)
        out, _ = process.communicate(timeout=600)
        value: dict[str, Any] = json.loads(out.splitlines()[-1]) if out.strip() else {}
        return {**value, "seconds": round(time.perf_counter() - began, 1), "status": process.returncode}

    def day(self, name: str, hash_seed: str = "random") -> dict[str, Any]:
        """The whole day."""
        return self.json("run", *DAY, "--path", str(SHARED / "data" / "lean"), "--id", name, hash_seed=hash_seed)

    def size(self, name: str) -> int:
        """Bytes in a journal."""
        total = 0
        for path in segments(self.runs / name / "journal"):
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total

    def kill_at(self, name: str, size: int) -> bool:
        """Start the day and kill it when its journal has reached a size. False when it ended first."""
        process = self.start("run", *DAY, "--path", str(SHARED / "data" / "lean"), "--id", name)
        while process.poll() is None and self.size(name) < size:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        return process.returncode == -signal.SIGKILL

    def drop(self, name: str) -> None:
        """Remove a run."""
        shutil.rmtree(self.runs / name, ignore_errors=True)


def measure(runner: Runner, runs: int, kills: int) -> dict[str, Any]:
    """Run everything."""
    first = runner.day("run-0")
    whole = runner.size("run-0")
    digests = {"run 0": first["digest"], "replay": runner.json("replay", "run-0")["digest"]}
    seconds = [first["seconds"]]
    for number in range(1, runs):
        again = runner.day(f"run-{number}", hash_seed=str(number))
        digests[f"run {number}, PYTHONHASHSEED={number}"] = again["digest"]
        seconds.append(again["seconds"])
        runner.drop(f"run-{number}")
    draw = random.Random(24)  # noqa: S311  # moments to kill at
    for number in range(kills):
        share, name = draw.random(), f"kill-{number}"
        was_killed = runner.kill_at(name, int(share * whole))
        resumed = runner.json("resume", name) if was_killed else first
        digests[f"killed at {share:.1%} of the journal"] = resumed.get("digest", f"none: status {resumed['status']}")
        runner.drop(name)
    return {
        "seconds": seconds,
        "journal_mib": round(whole / 2**20, 1),
        "digests": digests,
        "passed": len(set(digests.values())) == 1 and first["status"] == 0,
        "first_run": {name: first.get(name) for name in KEPT},
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--runs", type=int, default=4, help="whole days")
    parser.add_argument("--kills", type=int, default=20, help="kills with a resume")
    parser.add_argument("--quick", action="store_true", help="one whole day and one kill")
    options = parser.parse_args()
    if not (SHARED / "data" / "lean").is_dir():
        sys.stderr.write(f"recorded_day: recorded data not found: set AXIOM_SHARED (looked in {SHARED})\n")
        return 0
    with tempfile.TemporaryDirectory(prefix="axiom-day-") as folder:
        runs, kills = (1, 1) if options.quick else (options.runs, options.kills)
        found = measure(Runner(Path(folder)), runs, kills)
    found = {"benchmark": "recorded_day", "environment": environment("axiom bench recorded_day"), **found}
    if options.json:
        print(json.dumps(found))
    else:
        for name, digest in found["digests"].items():
            print(f"{digest[:16]}  {name}")
        print(f"seconds {found['seconds']}, journal {found['journal_mib']} MiB, passed {found['passed']}")
        print(json.dumps(found["first_run"], indent=2))
    return 0 if found["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
