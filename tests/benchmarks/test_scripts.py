"""Every benchmark runs and prints one JSON object that says where it was measured. No time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (CHECKOUT / "benchmarks").glob("*.py") if not path.stem.startswith("_"))
NEEDS_KAFKA = {"kafka_hop"}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "recorded_day"])
def test_quick_run_prints_one_object_with_its_machine(name: str, request: pytest.FixtureRequest) -> None:
    broker = ["--bootstrap", request.getfixturevalue("kafka")] if name in NEEDS_KAFKA else []
    found = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--json", *broker],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    result = json.loads(found.stdout.splitlines()[-1])
    assert result["benchmark"] == name
    assert {"machine", "date", "command", "isa"} <= set(result["environment"])


def test_the_command_passes_the_options_of_a_benchmark_on() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "axiom", "bench", "tick_to_quote", "--quick", "--move", "0.5", "--json"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    result = json.loads(found.stdout.splitlines()[-1])
    assert result["move_dollars"] == 0.5
    assert result["environment"]["command"] == "axiom bench tick_to_quote --quick --move 0.5"


def test_every_benchmark_has_its_place_in_the_page() -> None:
    page = (CHECKOUT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"<!-- begin {name} -->" not in page] == []
