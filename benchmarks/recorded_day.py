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

from benchmarks._report import CHECKOUT, main, table
from streams.journal import segments

SHARED: Final = Path(os.environ.get("AXIOM_SHARED", CHECKOUT.parent / "shared"))
DAY: Final = ("--source", "lean", "--underlying", "GOOG", "--date", "2015-12-24", "--speed", "max")
KEPT: Final = (
    *("events", "quotes_sent", "orders", "fills", "rejects", "pnl", "crossed_own_quotes", "gate_bypasses"),
    *("positions_equal_fills", "quality", "tick_to_quote_us", "refit_to_quote_us"),
    *("peak_rss_mib", "wall_seconds", "problems", "digest"),
)

COUNTED: Final = ("events", "quotes_sent", "orders", "fills")


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


def compare(runner: Runner, runs: int, kills: int) -> dict[str, Any]:
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


def options(parser: argparse.ArgumentParser) -> None:
    """Its own options."""
    parser.add_argument("--runs", type=int, default=4, help="whole days")
    parser.add_argument("--kills", type=int, default=20, help="kills with a resume")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything, in a folder that goes away."""
    if not (SHARED / "data" / "lean").is_dir():
        raise SystemExit(f"recorded data not found: set AXIOM_SHARED (looked in {SHARED})")
    with tempfile.TemporaryDirectory(prefix="axiom-day-") as folder:
        runs, kills = (1, 1) if arguments.quick else (arguments.runs, arguments.kills)
        return compare(Runner(Path(folder)), runs, kills)


def markdown(result: dict[str, Any]) -> str:
    """What the page says."""
    first, kills = result["first_run"], sum(name.startswith("killed") for name in result["digests"])
    quality = first["quality"]
    rows = [
        ["whole runs, seconds", ", ".join(f"{seconds:g}" for seconds in result["seconds"])],
        ["digests that differ", str(len(set(result["digests"].values())) - 1)],
        ["compared", f"{len(result['seconds'])} runs, 1 replay, {kills} kills with a resume"],
        ["peak resident memory, MiB", first["peak_rss_mib"]],
        ["journal, MiB", result["journal_mib"]],
        ["events / quote entries / orders / fills", " / ".join(f"{first[k]:,}" for k in COUNTED)],
        ["crossed own quotes / gate bypasses", f"{first['crossed_own_quotes']} / {first['gate_bypasses']}"],
        [
            "positions equal the venues' books",
            "yes" if first["positions_equal_fills"] and not first["problems"] else "NO",
        ],
        [
            "contracts two-sided 90 % of the time",
            f"{quality['contracts_two_sided_90']:,} of {quality['contracts_eligible']:,}",
        ],
        ["median width, ours / NBBO", f"{quality['median_width']:.2f} / {quality['median_width_nbbo']:.2f}"],
        ["both sides at or inside the NBBO", f"{quality['at_or_inside_share']:.1%}"],
    ]
    note = "Simulated fills on minute NBBO: no claim of profit rests on them."
    return f"{table(['GOOG, 24 December 2015', ''], rows)}\n\n{note}"


if __name__ == "__main__":
    raise SystemExit(main("recorded_day", measure, markdown, options))
