"""`axiom run` and `axiom resume`."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import structlog
import typer

from axiom import settings as settings_module
from axiom.cached_run import RunCache
from axiom.cli.operate import say_answer, who
from axiom.cli.options import AsJson, RunName, RunsRoot
from axiom.console import print_json, say
from axiom.control import ControlServer, send_command
from axiom.finish import rebuild, write_facts
from axiom.interrupts import LiftedControl, PauseMarks
from axiom.launch import resume, start
from axiom.live import LiveView
from axiom.progress import ProgressLines
from axiom.runs import ROOT, RunConfig, RunFolder
from axiom.telemetry import PrometheusMetrics, configure_logs
from domain.errors import AxiomError, InputError
from streams.embedded import Outcome, Sink
from streams.journal import segments

INTERRUPTED = 130
SOURCES = ("lean", "massive-files", "synthetic")
VENUES = ("direct", "fix")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run")(run_command)
    app.command("resume")(resume_command)


def run_command(  # one parameter for each option
    source: Annotated[str, typer.Option(help=f"Where the market comes from: {', '.join(SOURCES)}.")] = "synthetic",
    path: Annotated[Path | None, typer.Option(help="Folder of the recorded files.")] = None,
    underlying: Annotated[str, typer.Option(help="Symbol of the underlying.")] = "",
    date: Annotated[str, typer.Option(help="Trade date, YYYY-MM-DD.")] = "",
    speed: Annotated[str, typer.Option(help="Event seconds per second, or max.")] = "max",
    venues: Annotated[
        str, typer.Option(help="direct: simulated venues in this process; fix: each a process, over FIX sessions.")
    ] = "direct",
    positions: Annotated[Path | None, typer.Option(help="CSV of start-of-day positions.")] = None,
    statement: Annotated[
        Path | None, typer.Option(help="CSV of the clearing firm's positions, to reconcile with.")
    ] = None,
    settings: Annotated[Path | None, typer.Option(help="TOML file of settings.")] = None,
    metrics_port: Annotated[int, typer.Option(help="Prometheus on loopback; 0 takes a free port.")] = 0,
    run_id: Annotated[str, typer.Option("--id", help="Name of the run; made from source and time when absent.")] = "",
    runs: RunsRoot = ROOT,
    as_json: AsJson = False,
) -> None:
    """Run one day of one underlying: market in; quotes, hedges, fills and an explained P&L out."""
    if source not in SOURCES:
        raise InputError("unknown source", field="source", value=source, known=", ".join(SOURCES))
    if venues not in VENUES:
        raise InputError("unknown venues", field="venues", value=venues, known=", ".join(VENUES))
    loaded = settings_module.load(settings, os.environ)
    if source == "synthetic":
        underlying, date = loaded.synthetic.symbol, loaded.synthetic.trade_date
    elif path is None or not underlying or not date:
        raise InputError("a recorded run needs --path, --underlying and --date", field="source", value=source)
    day, stamp = parse_date(date), dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S")
    config = RunConfig(
        run=run_id or f"{day:%Y%m%d}-{underlying}-{source}-{stamp}-{os.getpid()}",
        source=source,
        path="" if path is None else str(path.resolve()),
        underlying=underlying,
        trade_date=day.isoformat(),
        speed=parse_speed(speed),
        venues=venues,
        positions="" if positions is None else str(positions.resolve()),
        statement="" if statement is None else str(statement.resolve()),
        settings=loaded.to_json(),
        cache=msgspec.json.encode(loaded.cache).decode() if loaded.cache.url else "",
    )
    folder = RunFolder.create(runs, config)
    try:
        _drive(folder, is_resume=False, metrics_port=metrics_port, as_json=as_json)
    except (AxiomError, OSError):
        if not segments(folder.journal):  # refused before its first input: the name is free again
            shutil.rmtree(folder.path)
        raise


def resume_command(
    run: RunName = "last",
    underlying: Annotated[str, typer.Option(help="Of a live run: what to resume; empty is the firm.")] = "",
    user: Annotated[str, typer.Option(help="Who asks.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    metrics_port: Annotated[int, typer.Option(help="Prometheus on loopback; 0 takes a free port.")] = 0,
    runs: RunsRoot = ROOT,
    as_json: AsJson = False,
) -> None:
    """Go on with a run that was killed or interrupted; lift a pause where the run is alive."""
    folder = RunFolder.find(runs, run)
    if folder.is_alive():
        reason = reason or "resumed by command"
        request = {"command": "resume", "underlying": underlying.upper(), "user": user or who(), "reason": reason}
        say_answer(folder, request, send_command(folder.path, request), as_json=as_json)
    _drive(folder, is_resume=True, metrics_port=metrics_port, as_json=as_json)


def parse_speed(text: str) -> float:
    """0 for max.

    Raises:
        InputError: Neither `max` nor a positive number.
    """
    if text == "max":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not (speed > 0 and math.isfinite(speed)):
        raise InputError("speed must be max or a positive number", field="speed", value=text)
    return speed


def parse_date(text: str) -> dt.date:
    """A date as YYYY-MM-DD.

    Raises:
        InputError: It is not one.
    """
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise InputError("date must be YYYY-MM-DD", field="date", value=text) from error


def _drive(folder: RunFolder, *, is_resume: bool, metrics_port: int, as_json: bool) -> None:
    metrics = PrometheusMetrics()
    with folder.claimed():
        port = metrics.serve(metrics_port)
        with contextlib.closing(configure_logs(folder.log)):
            log = structlog.get_logger()
            log.info("run.started", run=folder.path.name, metrics=f"http://127.0.0.1:{port}/metrics")
            if not as_json:
                with contextlib.suppress(BrokenPipeError):  # nobody reads it: the run is not for the terminal
                    say(f"run {folder.path.name}; metrics on http://127.0.0.1:{port}/metrics; Ctrl-C stops it in order")
            try:
                summary = _run_to_end(folder, metrics, is_resume=is_resume, as_json=as_json)
            except typer.Exit:
                raise
            except Exception:
                with contextlib.suppress(OSError):  # the disk of the log may be what failed
                    log.exception("run.failed", run=folder.path.name)
                raise
    if summary["problems"]:
        raise typer.Exit(1)


def _run_to_end(folder: RunFolder, metrics: PrometheusMetrics, *, is_resume: bool, as_json: bool) -> dict[str, Any]:
    """Run, print what came of it, and return the summary; a run that people stop ends the command here."""
    began = time.monotonic()
    control = ControlServer(folder.path)
    _stop_on_signals(control)
    view = LiveView(is_shown=sys.stdout.isatty() and not as_json, metrics=metrics)
    marks = PauseMarks(folder)
    cached = RunCache.of(folder.config(), os.environ, metrics)
    try:
        sinks: list[Sink] = [marks, view]
        if cached is not None:
            sinks.append(cached)
        launch = (
            resume(folder, LiftedControl(control, marks), sinks, metrics)
            if is_resume
            else start(folder, control, sinks, metrics)
        )
        if cached is not None:
            cached.begin(launch)
        if not sys.stdout.isatty():
            sinks.append(ProgressLines(launch.recording))
        view.begin(launch.recording, launch.listed, launch.run.tick_to_quote_ns)
        try:
            with view:
                outcome = launch.go()
            write_facts(folder, launch, wall_s=time.monotonic() - began)
        finally:
            launch.close()
    finally:
        control.close()
        if cached is not None:
            cached.close()
    structlog.get_logger().info("run.stopped", run=folder.path.name, outcome=outcome.value)
    if outcome is Outcome.STOPPED:
        name = folder.path.name
        if as_json:
            print_json({"run": name, "outcome": outcome.value, "digest": launch.run.digest.hex()})
        else:
            say(f"interrupted: quotes are cancelled; go on with: axiom resume {name}")
        raise typer.Exit(INTERRUPTED)
    summary = rebuild(folder)
    print_json(summary) if as_json else say(view.summary(summary, folder))
    return summary


def _stop_on_signals(control: ControlServer) -> None:
    def stop(*_: object) -> None:
        control.should_stop = True

    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the last: the terminal was closed
        signal.signal(name, stop)
