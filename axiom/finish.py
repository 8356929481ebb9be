"""What is made of a run when it has ended: checks, tables, summary, report. All from its journal."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from axiom.launch import Launch
from axiom.runs import RunFolder, write_atomically
from domain.errors import InputError
from domain.events_base import Event
from domain.price import PRICE_SCALE
from risk.positions import Positions
from routing.venues import SIMULATED
from store.day import read_day
from store.record import RunFacts, record_of
from store.report import write_report
from store.summary import summarize
from store.tables import write_tables
from streams.journal import JournalReader, Kind


class EndFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the process of a run knew at its end, kept so that the report can be written again."""

    facts: RunFacts
    problems: list[str]
    quote_messages: int
    quote_entries: int


def finish(folder: RunFolder, launch: Launch, wall_s: float) -> dict[str, Any]:
    """Check the end of a run, then write facts, tables, summary and report; return the summary."""
    write_facts(folder, launch, wall_s)
    return rebuild(folder)


def write_facts(folder: RunFolder, launch: Launch, wall_s: float) -> None:
    """Check a run that ended or was stopped in order, and keep what its process knows: a report can be made of it."""
    run = launch.run
    facts = RunFacts(
        run=folder.path.name,
        digest=run.digest.hex(),
        gate_bypasses=launch.outlet.refused,
        tick_to_quote_us=tuple(round(value / 1e3, 1) for value in run.tick_to_quote_ns),
        refit_to_quote_us=tuple(round(value / 1e3, 1) for value in run.refit_to_quote_ns),
        peak_rss_mib=round(peak_rss_mib(), 1),
        wall_seconds=round(wall_s, 3),
        machine=machine(),
    )
    end = EndFacts(
        facts=facts,
        problems=problems(launch),
        quote_messages=launch.outlet.quote_messages,
        quote_entries=launch.outlet.quote_entries,
    )
    write_atomically(folder.facts, msgspec.json.format(msgspec.json.encode(end)))


def rebuild(folder: RunFolder) -> dict[str, Any]:
    """Write tables, summary and report from the journal and the facts.

    Raises:
        InputError: The run has neither ended nor been stopped in order.
    """
    try:
        end = msgspec.json.decode(folder.facts.read_bytes(), type=EndFacts)
    except OSError as error:
        raise InputError("the run has not ended: resume it first", field="run", value=folder.path.name) from error
    record = record_of(read_day(items(folder), [venue.mic for venue in SIMULATED]), end.facts)
    write_tables(folder.tables, record)
    summary = summarize(record)
    summary["quote_messages"] = end.quote_messages
    summary["entries_per_message"] = round(end.quote_entries / max(end.quote_messages, 1), 1)
    summary["reconciliation_differences"] = record.day.counts["ReconciliationBroken"]
    summary["is_interrupted"] = folder.interrupted.exists()
    summary["problems"] = [*end.problems, *_problems_of(summary), *record.day.reconciliation.problems()]
    write_report(folder.path, record)
    write_atomically(folder.summary, msgspec.json.format(msgspec.json.encode(summary)))
    return summary


def items(folder: RunFolder) -> Iterator[tuple[bool, str, Event]]:
    """Every event of a journal: whether it was an input, its source, and itself."""
    for record in JournalReader(folder.journal):
        yield record.kind is Kind.INPUT, record.source, record.event()


def problems(launch: Launch) -> list[str]:
    """What contradicts itself at the end: our positions against the venues' own books, halts, refused clearances."""
    found = []
    ours = next(
        (stage for stage in launch.shard.stages(launch.recording.underlying) if isinstance(stage, Positions)), None
    )
    if ours is not None:
        traded = sum((port.exchange.positions()[0] for port in launch.ports), start=np.zeros(1, np.int64))
        stock = sum(port.exchange.positions()[1] for port in launch.ports)
        options_traded, stock_traded = ours.ledger.traded[:-1], int(ours.ledger.traded[-1])
        if not np.array_equal(options_traded, traded) or stock_traded != stock:
            wrong = int(np.count_nonzero(options_traded != traded))
            found.append(
                f"positions differ from the venues' books: {wrong} contracts, stock {stock_traded} against {stock}"
            )
        paid = sum(port.exchange.cash() for port in launch.ports)
        if ours.ledger.traded_cash != paid:
            difference = (ours.ledger.traded_cash - paid) / PRICE_SCALE
            found.append(f"cash differs from the venues' books by ${difference:,.4f}: prices or fees are not theirs")
    if ours is None:
        found.append("the chain was refused: nothing was quoted")
    if launch.shard.halted:
        found.append(f"halted: {', '.join(sorted(launch.shard.halted))}")
    if launch.outlet.refused:
        found.append(f"{launch.outlet.refused} messages reached the outlet without a clearance")
    return found


def _problems_of(summary: dict[str, Any]) -> list[str]:
    found = []
    if summary["crossed_own_quotes"]:
        found.append(f"{summary['crossed_own_quotes']} own quotes were crossed")
    if summary["reconciliation_differences"]:
        found.append(f"{summary['reconciliation_differences']} positions differ from the statement")
    if not summary["positions_equal_fills"]:
        found.append("positions differ from the sum of fills")
    return found


def peak_rss_mib() -> float:
    """Largest resident memory of this process so far."""
    scale = 1024.0**2 if sys.platform == "darwin" else 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def machine() -> str:
    """What this runs on, in words."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"
