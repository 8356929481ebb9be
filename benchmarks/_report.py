"""What every benchmark shares: the machine it ran on, latency histograms, and how figures are printed."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from hdrh.histogram import HdrHistogram

from axiom.finish import machine
from pricing.backend import describe

CHECKOUT: Final = Path(__file__).resolve().parents[1]
_LONGEST_NS: Final = 60_000_000_000
_DIGITS: Final = 3
BUSY_LOAD: Final = 0.3
"""Load average per core above which others were at work when the benchmark began."""


def environment(command: str) -> dict[str, Any]:
    """Machine, date, command and what else decides a figure. The load is that of the minute before the start."""
    load = os.getloadavg()[0]
    return {
        "machine": machine(),
        "isa": describe().isa,
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.release()}",
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d"),
        "revision": _revision(),
        "command": command,
        "load_before": round(load, 2),
        "was_shared": load > BUSY_LOAD * (os.cpu_count() or 1),
    }


def _revision() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--tags"],  # noqa: S607  # git by name, as everywhere
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"


def latency(values_ns: Iterable[int]) -> dict[str, float]:
    """Percentiles in microseconds, from an HDR histogram of three digits."""
    histogram = HdrHistogram(1, _LONGEST_NS, _DIGITS)
    for value in values_ns:
        histogram.record_value(max(int(value), 1))
    at = {name: histogram.get_value_at_percentile(share) for name, share in _PERCENTILES}
    return {
        "n": histogram.get_total_count(),
        **{name: round(value / 1e3, 1) for name, value in at.items()},
        "max": round(histogram.get_max_value() / 1e3, 1),
    }


_PERCENTILES: Final = (("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9))


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest of repeated measurements."""
    ordered = np.asarray(values, dtype=np.float64)
    return {"median": float(np.median(ordered)), "min": float(ordered.min()), "max": float(ordered.max())}


def growth(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Exponent p of values = c * sizes^p, by least squares on logarithms."""
    slope, _ = np.polyfit(np.log(sizes), np.log(values), 1)
    return round(float(slope), 3)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table: the first column is text, the others are numbers."""
    lines = [f"| {' | '.join(header)} |", f"|---|{'---:|' * (len(header) - 1)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def provenance(result: dict[str, Any]) -> str:
    """The line under a table that makes its numbers numbers."""
    at = result["environment"]
    shared = "; other work ran on the machine" if at["was_shared"] else ""
    return f"{at['machine']}, {at['isa']}; {at['date']}, {at['revision']}; `{at['command']}`{shared}."


def main(
    name: str,
    measure: Callable[[argparse.Namespace], dict[str, Any]],
    markdown: Callable[[dict[str, Any]], str],
    options: Callable[[argparse.ArgumentParser], object],
) -> int:
    """Run one benchmark from the command line: `--json`, `--quick`, `--write` and its own options."""
    parser = argparse.ArgumentParser(prog=name, description=sys.modules["__main__"].__doc__)
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, measures nothing")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options(parser)
    arguments = parser.parse_args()
    given = [argument for argument in sys.argv[1:] if argument not in {"--json", "--write"}]
    result = {"benchmark": name, "environment": environment(" ".join(["axiom bench", name, *given]))}
    result |= measure(arguments)
    text = f"{markdown(result)}\n\n{provenance(result)}"
    if arguments.write:
        write_section(CHECKOUT / "docs" / "benchmarks.md", name, text)
    print(json.dumps(result, allow_nan=False) if arguments.json else text)
    return 0 if result.get("passed", True) else 1


def write_section(page: Path, name: str, text: str) -> None:
    """Replace what stands between the two markers of a benchmark; the words around them stay."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        message = f"{page.name} has no markers of {name}"
        raise SystemExit(message)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
