"""Every command answers as a user and a script expect: text for people, one JSON object last for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import typer.main

from axiom.cli import app
from axiom.cli.bench import FOLDER
from domain.topics import TOPICS

if TYPE_CHECKING:
    from tests.e2e.conftest import Axiom, Here

Finished = tuple["Axiom", dict[str, Any]]

SUMMARY = {
    "run", "label", "is_synthetic", "underlying", "trade_date", "events", "quotes_sent", "orders", "fills", "rejects",
    "positions", "pnl", "crossed_own_quotes", "gate_bypasses", "tick_to_quote_us", "refit_to_quote_us",
    "peak_rss_mib", "digest", "problems",
}  # fmt: skip
PNL = {"total", "spread", "delta", "gamma", "vega", "theta", "rest", "hedging", "fees"}


def last_object(out: str) -> dict[str, Any]:
    """The object that ends standard output; nothing but text stands before it."""
    lines = out.splitlines()
    value: dict[str, Any] = json.loads(lines[-1])
    assert isinstance(value, dict)
    assert not any(line.startswith("{") for line in lines[:-1])
    return value


def test_run_ends_with_one_object_that_shows_the_bars(finished: Finished) -> None:
    _, summary = finished
    assert set(summary) >= SUMMARY
    assert set(summary["pnl"]) == PNL
    assert summary["pnl"]["total"] == pytest.approx(sum(summary["pnl"][part] for part in PNL - {"total"}), abs=1e-6)
    assert {"count", "p50", "p99", "p99.9", "max"} <= set(summary["tick_to_quote_us"])
    assert len(summary["digest"]) == 64
    assert summary["is_synthetic"]
    assert "synthetic" in summary["label"]
    assert (summary["crossed_own_quotes"], summary["gate_bypasses"], summary["problems"]) == (0, 0, [])


def test_run_says_in_text_what_came_of_it_and_logs_are_elsewhere(axiom: Axiom) -> None:
    out = axiom.call("run", "--id", "said", AXIOM_SET_SYNTHETIC__SESSION_MINUTES="1")
    for word in ("synthetic market", "events", "P&L", "tick to quote", "digest", str(axiom.runs / "said")):
        assert word in out
    assert "{" not in out
    logged = [json.loads(line) for line in (axiom.runs / "said" / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in logged][:1] == ["run.started"]
    assert logged[-1]["event"] == "run.stopped"
    assert all({"timestamp", "level"} <= set(line) for line in logged)


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (("replay", "whole"), {"digest", "journal_digest", "equal", "difference", "inputs", "outputs", "wall_s"}),
        (("diff", "whole", "whole"), {"first", "second", "equal", "difference"}),
        (("report", "whole"), SUMMARY),
        (("topics",), {"topics"}),
        (("doctor",), {"findings", "ok"}),
    ],
)
def test_command_with_json_ends_with_one_object(
    here: Here, finished: Finished, arguments: tuple[str, ...], keys: set[str]
) -> None:
    runs = () if arguments == ("topics",) else ("--runs", str(finished[0].runs))
    said = here(*arguments, *runs, "--json")
    assert said.code == 0, said.err
    assert set(last_object(said.out)) >= keys


def test_report_writes_the_page_and_the_summary_again(here: Here, finished: Finished) -> None:
    command, summary = finished
    run = command.runs / "whole"
    page = (run / "report.html").read_bytes()
    (run / "report.html").unlink()
    (run / "summary.json").unlink()
    said = here("report", "whole", "--runs", str(command.runs))
    assert said.out.strip() == f"report {run / 'report.html'}"
    assert (run / "report.html").read_bytes() == page
    assert json.loads((run / "summary.json").read_text()) == summary


def test_tail_prints_what_a_topic_carried_one_object_a_line(here: Here, finished: Finished) -> None:
    said = here("tail", "whole", "greeks", "--limit", "2", "--rows", "3", "--runs", str(finished[0].runs))
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert [line["event"] for line in lines] == ["GreeksComputed", "GreeksComputed"]
    for line in lines:
        assert line["rows"] == 200
        assert len(line["frame"]["theo"]) == 3
        assert {"delta", "gamma", "vega", "theta", "vanna", "ultima"} <= set(line["frame"])
    assert lines[0]["ts_event"] <= lines[1]["ts_event"]


@pytest.mark.parametrize("topic", [topic.name for topic in TOPICS])
def test_every_topic_can_be_tailed(here: Here, finished: Finished, topic: str) -> None:
    said = here("tail", "whole", topic, "--limit", "1", "--runs", str(finished[0].runs))
    assert said.code == 0
    assert len(said.out.splitlines()) <= 1


def test_topics_lists_each_topic_once(here: Here) -> None:
    lines = here("topics").out.splitlines()
    assert [line.split()[0] for line in lines] == [topic.name for topic in TOPICS]


def test_doctor_is_well_here_and_says_what_each_absence_costs(here: Here) -> None:
    value = last_object(here("doctor", "--json", "--runs", str(here.runs)).out)
    assert value["ok"]
    names = [finding["name"] for finding in value["findings"]]
    assert {"python", "pricing kernels", "compiler", "GPU", "browser", "disk"} <= set(names)
    for finding in value["findings"]:
        assert finding["is_present"] or finding["cost"]


def test_last_is_the_newest_run(here: Here, finished: Finished) -> None:
    said = here("tail", "last", "pnl", "--limit", "1", "--runs", str(finished[0].runs))
    assert json.loads(said.out)["event"] == "PnlMarked"


def test_bench_lists_its_benchmarks_and_names_one_that_it_does_not_know(here: Here) -> None:
    known = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
    assert here("bench").out.split() == known
    said = here("bench", "nonsense")
    assert said.code == 2
    assert "field='name' value='nonsense'" in said.err


COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # a group has them


def test_the_commands_that_were_promised_are_there() -> None:
    promised = {"run", "replay", "resume", "diff", "report", "tail", "topics", "doctor", "bench"}
    operate = {"kill", "release", "pause", "flatten", "limits", "reset"}
    assert promised | operate <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_text_for_itself_and_each_option(here: Here, command: str) -> None:
    said = here(command, "--help", COLUMNS="200")
    assert said.code == 0
    assert f"axiom {command}" in said.out
    group: Any = typer.main.get_command(app)
    for parameter in group.commands[command].params:
        assert getattr(parameter, "help", ""), f"{command} {parameter.name}"
    assert group.commands[command].get_short_help_str(200).strip()


def test_no_command_shows_the_commands(here: Here) -> None:
    said = here(COLUMNS="200")
    assert all(command in said.out for command in COMMANDS)


@pytest.mark.parametrize("arguments", [("nonsense",), ("run", "--nonsense"), ("diff", "one")])
def test_unknown_command_or_option_shows_how_it_is_used(here: Here, arguments: tuple[str, ...]) -> None:
    said = here(*arguments)
    assert said.code == 2
    assert "Usage: axiom" in said.err
    assert "Traceback" not in said.err


def test_command_to_a_run_that_is_not_running_says_so(here: Here, finished: Finished) -> None:
    said = here("kill", "--reason", "test", "--run", "whole", "--runs", str(finished[0].runs))
    assert said.code == 2
    assert "not running" in said.err


def test_operators_command_needs_a_reason(here: Here) -> None:
    said = here("kill", "--runs", str(here.runs))
    assert said.code == 2
    assert "--reason" in said.err
