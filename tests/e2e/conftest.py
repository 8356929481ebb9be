"""Runs of the real command line in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import structlog

from axiom.__main__ import main
from axiom.control import NoControl
from axiom.finish import items, problems
from axiom.launch import Launch, start
from axiom.runs import RunConfig, RunFolder
from axiom.settings import Settings, from_json
from domain import events as e
from risk.positions import Positions
from store.day import read_day
from store.record import RunFacts, record_of
from store.summary import summarize
from streams.embedded import Control, Sink
from streams.journal import JournalReader

SMALL = {
    "AXIOM_SET_SYNTHETIC__SESSION_MINUTES": "2",
    "AXIOM_SET_SYNTHETIC__CONTRACTS": "200",
    "AXIOM_SET_SYNTHETIC__ORDERS_PER_MINUTE": "240",
    "AXIOM_SET_RUN__SNAPSHOT_MINUTES": "1",
}


LONGEST_S = 300.0
"""A command that takes longer hangs; the limit of the test itself is mostly shorter."""


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
        out, err = process.communicate(timeout=LONGEST_S)
        assert process.returncode == code, f"{arguments} ended with {process.returncode}\n{out}\n{err}"
        return out if code == 0 else out + err

    def json(self, *arguments: str, code: int = 0, **extra: str) -> dict[str, Any]:
        """Run a command with --json and return the object that it ends with."""
        said = self.call(*arguments, "--json", code=code, **extra)
        value: dict[str, Any] = json.loads([line for line in said.splitlines() if line.startswith("{")][-1])
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


# --- In this process --------------------------------------------------------------------------------------------------


class Said(NamedTuple):
    """What a command gave back."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Here:
    """The command line in this process: for commands that start no run, or are refused before they do."""

    runs: Path
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str, **extra: str) -> Said:
        """Run a command as `axiom ARGUMENTS` does; a traceback of ours fails the test."""
        with self.patch.context() as patch:
            patch.setattr(sys, "argv", ["axiom", *arguments])
            for name, value in {**SMALL, **extra}.items():
                patch.setenv(name, value)
            self.capture.readouterr()
            try:
                main()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            return Said(code, *self.capture.readouterr())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """The command line in this process, with a folder of runs of its own; what it changed of the process is undone."""
    handlers = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    yield Here(tmp_path / "runs", monkeypatch, capsys)
    for name, handler in handlers.items():
        signal.signal(name, handler)
    structlog.reset_defaults()


Prepare = Callable[..., Launch]


def launch_of(
    folder: Path,
    tree: Mapping[str, Any] | None = None,
    *,
    name: str = "run",
    sinks: Sequence[Sink] = (),
    control: Control | None = None,
    **config: Any,  # noqa: ANN401  # fields of RunConfig
) -> Launch:
    """Prepare a run in this process: settings as a tree, sinks, and what else a configuration says."""
    settings = settings_of(tree or {})
    fields: dict[str, Any] = {
        "source": "synthetic",
        "path": "",
        "underlying": settings.synthetic.symbol,
        "trade_date": settings.synthetic.trade_date,
        "speed": 0.0,
        "venues": "direct",
        "positions": "",
    }
    chosen = RunConfig(run=name, settings=settings.to_json(), **(fields | config))
    return start(RunFolder.create(folder, chosen), control or NoControl(), sinks)


@pytest.fixture
def prepare(tmp_path: Path) -> Iterator[Prepare]:
    """`launch_of` in a folder of the test's own; journals are closed at its end."""
    launches: list[Launch] = []

    def prepare(*arguments: Any, **options: Any) -> Launch:  # noqa: ANN401  # those of launch_of
        launches.append(launch_of(tmp_path, *arguments, **options))
        return launches[-1]

    yield prepare
    for launch in launches:
        launch.close()


def settings_of(tree: Mapping[str, Any]) -> Settings:
    """Settings of a small synthetic run, with changes."""
    small: dict[str, Any] = {
        "synthetic": {"session_minutes": 2, "contracts": 200, "orders_per_minute": 240.0},
        "run": {"snapshot_minutes": 0},
    }
    merged = {
        section: {**small.get(section, {}), **tree[section]} if section in tree else small[section]
        for section in [*small, *(name for name in tree if name not in small)]
    }
    return from_json(json.dumps(merged))


class Ran:
    """A run that went to its end: its events and its summary."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.outcome = launch.go()
        launch.close()
        mics = [port.mic for port in launch.ports]
        facts = RunFacts(gate_bypasses=launch.outlet.refused)
        self.summary = summarize(record_of(read_day(items(launch.folder), mics), facts))
        self.problems = problems(launch)
        self.records = list(JournalReader(launch.folder.journal))

    def events(self, kind: type[e.Event]) -> list[Any]:
        return [record.event() for record in self.records if record.message.schema == kind.__name__]

    @property
    def differs(self) -> bool:
        """Whether our ledger, in lots or in cash, is not the sum of the venues' own books."""
        launch = self.launch
        ledger = next(s for s in launch.shard.stages(launch.recording.underlying) if isinstance(s, Positions)).ledger
        options = np.sum([port.exchange.positions()[0] for port in launch.ports], axis=0)
        stock = sum(port.exchange.positions()[1] for port in launch.ports)
        cash = sum(port.exchange.cash() for port in launch.ports)
        is_equal = np.array_equal(ledger.traded, [*options.tolist(), stock]) and ledger.traded_cash == cash
        return not is_equal
