"""`axiom replay|diff|report|topics|doctor`: look at runs and at the machine."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from axiom.cli.options import AsJson, RunName, RunsRoot
from axiom.compose import SHARD, Composer
from axiom.console import print_json, say
from axiom.doctor import examine
from axiom.finish import rebuild
from axiom.runs import ROOT, RunFolder
from axiom.settings import load
from axiom.tenures import is_tenure, shard_at_the_beginning
from domain.topics import TOPICS
from streams.journal import JournalReader
from streams.replay import Replay, diff, grouped
from streams.shard import Shard

_HOUR_MS = 3_600_000


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, command in (
        ("replay", replay_command),
        ("diff", diff_command),
        ("report", report_command),
        ("topics", topics_command),
        ("doctor", doctor_command),
        ("settings", settings_command),
    ):
        app.command(name)(command)


def replay_command(run: RunName = "last", runs: RunsRoot = ROOT, as_json: AsJson = False) -> None:
    """Run the journal of a run, or of a worker's tenure, again and compare every output. Nothing can reach a venue."""
    began = time.monotonic()
    if is_tenure(Path(run)):
        folder, shard = RunFolder(Path(run)), shard_at_the_beginning(Path(run))
    else:
        folder, shard = RunFolder.find(runs, run), Shard(SHARD, Composer().stages)
    reader = JournalReader(folder.journal)
    result = Replay(shard).run(grouped(reader))
    value = {
        "run": folder.path.name,
        "digest": result.digest,
        "journal_digest": result.journal_digest,
        "equal": result.is_equal,
        "difference": result.difference,
        "inputs": result.inputs,
        "outputs": result.outputs,
        "torn_bytes": reader.torn_bytes,
        "wall_s": round(time.monotonic() - began, 3),
    }
    if as_json:
        print_json(value)
    else:
        said = "equal" if result.is_equal else f"DIFFERS: {result.difference}"
        say(f"{folder.path.name}: {said}; {result.inputs:,} inputs, {result.outputs:,} outputs, {value['wall_s']} s")
        say(f"digest {result.digest}")
    raise typer.Exit(0 if result.is_equal else 1)


def diff_command(
    first: Annotated[str, typer.Argument(help="A run.")],
    second: Annotated[str, typer.Argument(help="Another run.")],
    runs: RunsRoot = ROOT,
    as_json: AsJson = False,
) -> None:
    """Name the first event in which two runs differ."""
    left, right = RunFolder.find(runs, first), RunFolder.find(runs, second)
    difference = diff(JournalReader(left.journal), JournalReader(right.journal))
    if as_json:
        print_json(
            {"first": left.path.name, "second": right.path.name, "equal": not difference, "difference": difference}
        )
    else:
        say(difference or "equal")
    raise typer.Exit(1 if difference else 0)


def report_command(run: RunName = "last", runs: RunsRoot = ROOT, as_json: AsJson = False) -> None:
    """Write the tables, the summary and the report of a run again, from its journal."""
    folder = RunFolder.find(runs, run)
    summary = rebuild(folder)
    if as_json:
        print_json(summary)
    else:
        say(f"report {folder.report}")


def topics_command(as_json: AsJson = False) -> None:
    """List the topics and what they carry."""
    if as_json:
        print_json(
            {
                "topics": [
                    {
                        "name": topic.name,
                        "about": topic.about,
                        "retention_ms": topic.retention_ms,
                        "compacted": topic.is_compacted,
                        "events": [kind.__name__ for kind in topic.carries],
                    }
                    for topic in TOPICS
                ]
            }
        )
        return
    for topic in TOPICS:
        kept = f"{topic.retention_ms // _HOUR_MS} h{', compacted' if topic.is_compacted else ''}"
        say(f"{topic.name:20} {kept:18} {', '.join(kind.__name__ for kind in topic.carries)}")


def doctor_command(runs: RunsRoot = Path("runs"), as_json: AsJson = False) -> None:
    """Say what this machine has, and what each absence costs."""
    findings = examine(runs)
    if as_json:
        print_json({"findings": [finding.as_dict() for finding in findings], "ok": all(f.is_ok for f in findings)})
        return
    for finding in findings:
        say(f"{'ok ' if finding.is_present else '-- '} {finding.name:22} {finding.detail}")
        if not finding.is_present:
            say(f"    {finding.cost}")


def settings_command(
    settings: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
) -> None:
    """Print the settings that a run would have, every section and key, as JSON."""
    say(msgspec.json.format(msgspec.json.encode(load(settings, os.environ)), indent=2).decode())
