"""Runs of the real command line in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SMALL = {
    "AXIOM_SET_SYNTHETIC__SESSION_MINUTES": "2",
    "AXIOM_SET_SYNTHETIC__CONTRACTS": "200",
    "AXIOM_SET_SYNTHETIC__ORDERS_PER_MINUTE": "240",
    "AXIOM_SET_RUN__SNAPSHOT_MINUTES": "1",
}


@dataclass(frozen=True)
class Axiom:
    """The command line with a folder of runs of its own."""

    runs: Path
    settings: dict[str, str] = field(default_factory=lambda: dict(SMALL))

    def environment(self, **extra: str) -> dict[str, str]:
        """The environment of a command."""
        return {**os.environ, **self.settings, **extra}

    def start(self, *arguments: str, **extra: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "axiom", *arguments, "--runs", str(self.runs)],
            env=self.environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: str, code: int = 0, **extra: str) -> str:
        """Run a command to its end, check its exit status, and return standard output."""
        process = self.start(*arguments, **extra)
        out, err = process.communicate(timeout=110)
        assert process.returncode == code, f"{arguments} ended with {process.returncode}\n{out}\n{err}"
        return out if code == 0 else out + err

    def json(self, *arguments: str, code: int = 0, **extra: str) -> dict[str, Any]:
        """Run a command with --json and return the object that it ends with."""
        value: dict[str, Any] = json.loads(self.call(*arguments, "--json", code=code, **extra).splitlines()[-1])
        return value


@pytest.fixture
def axiom(tmp_path: Path) -> Axiom:
    """A command line of its own."""
    return Axiom(tmp_path / "runs")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Axiom, dict[str, Any]]:
    """One small synthetic run that went to its end, and its summary."""
    command = Axiom(tmp_path_factory.mktemp("finished") / "runs")
    return command, command.json("run", "--id", "whole")


WaitUntil = Callable[[Callable[[], bool]], None]
