"""Bad input is refused by name, and nothing is lost: a run goes on without it, a journal stays as it was."""

from __future__ import annotations

import io
import itertools
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from domain import events as e
from domain.calendar import ny_ns
from domain.frames import NbboFrame
from streams.embedded import Outcome
from streams.journal import JournalReader, Kind, segments
from streams.recorded import FeedItem
from tests.e2e.conftest import settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from axiom.launch import Launch
    from tests.e2e.conftest import Axiom, Here, Prepare

DAY = "2015-12-24"
OPEN_MS = 34_200_000
CALL = "20151224_sym_minute_quote_american_call_7500000_20160115.csv"
PUT = "20151224_sym_minute_quote_american_put_7500000_20160115.csv"
STOCK_QUOTE = "20151224_sym_minute_quote.csv"


def bar(minute: int, bid: int = 50_000, ask: int = 52_000, size: int = 10) -> str:
    """A line of a LEAN quote member: prices in 1/10,000 dollar."""
    return f"{OPEN_MS + minute * 60_000},{bid},{bid},{bid},{bid},{size},{ask},{ask},{ask},{ask},{size}"


def bars(*changed: str, minutes: int = 4) -> str:
    """Good bars of the first minutes, then lines of the test's own."""
    return "\n".join([*(bar(minute) for minute in range(minutes)), *changed])


def archive(members: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in members.items():
            bundle.writestr(zipfile.ZipInfo(name, (2015, 12, 24, 0, 0, 0)), text)
    return content.getvalue()


def lean(root: Path, options: dict[str, str], trades: dict[str, str] | None = None) -> Path:
    """A LEAN data folder of one small day."""
    option, stock = (root / "Data" / kind / "usa" / "minute" / "sym" for kind in ("option", "equity"))
    for folder in (option, stock):
        folder.mkdir(parents=True, exist_ok=True)
    (option / "20151224_quote_american.zip").write_bytes(archive(options))
    if trades:
        (option / "20151224_trade_american.zip").write_bytes(archive(trades))
    level = "\n".join(bar(minute, 7_500_000, 7_501_000, 100) for minute in range(4))
    (stock / "20151224_quote.zip").write_bytes(archive({STOCK_QUOTE: level}))
    return root


def lean_run(prepare: Prepare, root: Path) -> Counter[str]:
    """Run that day to its end; return what the feed counted as refused."""
    launch = prepare(source="lean", path=str(root), underlying="SYM", trade_date=DAY)
    assert launch.go() is Outcome.FINISHED
    assert launch.shard.halted == set()
    return counted(launch)


def counted(launch: Launch) -> Counter[str]:
    counts: Counter[str] = Counter()
    for event in journaled(launch, e.FeedDegraded):
        counts[event.reason] += event.count
    return counts


def journal_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in segments(folder))


def journaled(launch: Launch, *kinds: type[e.Event]) -> list[Any]:
    names = {kind.__name__ for kind in kinds}
    return [record.event() for record in JournalReader(launch.folder.journal) if record.message.schema in names]


# --- Recorded files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated_archive_is_refused_by_name_and_leaves_no_run(here: Here, tmp_path: Path, share: float) -> None:
    root = lean(tmp_path, {CALL: bars(), PUT: bars()})
    path = root / "Data" / "option" / "usa" / "minute" / "sym" / "20151224_quote_american.zip"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    command = ("run", "--source", "lean", "--path", str(root), "--underlying", "SYM", "--date", DAY)
    said = here(*command, "--id", "cut", "--runs", str(here.runs))
    assert said.code == 2
    assert path.name in said.err
    assert "Traceback" not in said.err
    assert not (here.runs / "cut").exists()


def test_crossed_and_negative_quotes_are_counted_and_the_day_goes_on(prepare: Prepare, tmp_path: Path) -> None:
    options = {CALL: bars(bar(4, bid=60_000, ask=50_000), bar(5, bid=-50_000), bar(6)), PUT: bars(bar(4, size=-1))}
    counts = lean_run(prepare, lean(tmp_path / "data", options))
    assert counts["crossed, published as it is"] == 1
    assert counts["negative price"] == 1
    assert counts["negative size"] == 1


def test_clock_backwards_in_a_file_is_counted_and_the_day_goes_on(prepare: Prepare, tmp_path: Path) -> None:
    counts = lean_run(prepare, lean(tmp_path / "data", {CALL: bars(bar(1), bar(4)), PUT: bars()}))
    assert counts["clock did not move on"] == 1


def test_unknown_contract_in_trades_is_counted_and_the_day_goes_on(prepare: Prepare, tmp_path: Path) -> None:
    foreign = "20151224_oth_minute_trade_american_call_7500000_20160115.csv"
    trades = {CALL.replace("quote", "trade"): f"{OPEN_MS},1,1,1,51000,3", foreign: f"{OPEN_MS},1,1,1,51000,3"}
    counts = lean_run(prepare, lean(tmp_path / "data", {CALL: bars(), PUT: bars()}, trades))
    assert counts["unknown contract"] == 1


# --- A feed that goes wrong while it runs -----------------------------------------------------------------------------


def feed_with(launch: Launch, spoil: Callable[[FeedItem], Iterator[FeedItem]], after: int = 40) -> None:
    """Put bad inputs into the feed of a run, after some good ones. Offsets stay dense."""
    items = launch.recording.items()

    def feed() -> Iterator[FeedItem]:
        offsets = itertools.count()
        for place, item in enumerate(items):
            for found in (item, *(spoil(item) if place == after else ())):
                yield found._replace(offset=next(offsets))

    launch.run._feed = feed()


def nbbo(item: FeedItem, contract: int, bid: int = 10_000, ask: int = 11_000, ts: int = 0) -> FeedItem:
    frame = NbboFrame(
        contract=np.array([contract]), bid=np.array([bid]), bid_size=np.array([1]), ask=np.array([ask]),
        ask_size=np.array([1]),
    )  # fmt: skip
    ts = ts or item.event.ts_event
    return item._replace(event=e.NbboUpdated(ts_event=ts, ts_init=ts, underlying=item.event.underlying, frame=frame))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        pytest.param(lambda item: nbbo(item, 5, bid=-10_000), "field='bid' value=-10000", id="negative bid"),
        pytest.param(lambda item: nbbo(item, 99_999), "field='contract' value=99999", id="unknown contract"),
        pytest.param(lambda item: nbbo(item, -7), "field='contract' value=-7", id="negative contract"),
        pytest.param(
            lambda item: nbbo(item, 5, ts=ny_ns(settings_of({}).synthetic.date)), "clock", id="clock backwards"
        ),
    ],
)
def test_bad_input_of_a_feed_is_journaled_refused_by_name_and_the_run_goes_on(
    prepare: Prepare, spoil: Callable[[FeedItem], FeedItem], told: str
) -> None:
    launch = prepare()
    feed_with(launch, lambda item: iter([spoil(item)]))
    assert launch.go() is Outcome.FINISHED
    assert launch.shard.halted == set()
    (rejection,) = journaled(launch, e.EventRejected)
    assert (rejection.stage, rejection.event) == ("shard", "NbboUpdated")
    assert told in rejection.error
    assert any(quotes.ts_event > rejection.ts_event for quotes in journaled(launch, e.QuotesCleared))


def test_crossed_market_makes_no_crossed_quotes_of_ours(prepare: Prepare) -> None:
    launch = prepare()
    feed_with(launch, lambda item: iter([nbbo(item, contract, 30_000, 20_000) for contract in range(20)]))
    assert launch.go() is Outcome.FINISHED
    assert launch.shard.halted == set()
    for quotes in journaled(launch, e.QuotesCleared):
        frame = quotes.frame
        both = (frame.bid_size > 0) & (frame.ask_size > 0)
        assert (frame.bid < frame.ask)[both].all()


# --- What a person types ----------------------------------------------------------------------------------------------

LEAN = ("--source", "lean", "--path", "nowhere", "--underlying", "SYM", "--date", DAY)


@pytest.mark.parametrize(
    ("arguments", "extra", "told"),
    [
        (("--source", "opra"), {}, "field='source' value='opra'"),
        (("--source", "lean"), {}, "--path, --underlying and --date"),
        (LEAN, {}, "field='path' value='"),
        ((*LEAN[:-1], "24.12.2015"), {}, "field='date' value='24.12.2015'"),
        (("--speed", "fast"), {}, "field='speed' value='fast'"),
        (("--speed", "-1"), {}, "field='speed' value='-1'"),
        (("--speed", "inf"), {}, "field='speed' value='inf'"),
        (("--venues", "moon"), {}, "field='venues' value='moon'"),
        (("--metrics-port", "99999"), {}, "field='metrics_port' value=99999"),
        (("--positions", "nowhere.csv"), {}, "field='positions' value='"),
        (("--settings", "nowhere.toml"), {}, "field='path' value='nowhere.toml'"),
        ((), {"AXIOM_SET_QUOTING__SPED": "1"}, "unknown key 'quoting.sped'"),
        ((), {"AXIOM_SET_QUTING__SIZE": "1"}, "unknown key 'quting'"),
        ((), {"AXIOM_SET_SYNTHETIC__CONTRACTS": "many"}, "field='synthetic.contracts' value='many'"),
        ((), {"AXIOM_SET_SYNTHETIC__CONTRACTS": "201"}, "field='synthetic.contracts' value=201"),
        ((), {"AXIOM_SET_MISBEHAVIOUR__NOPE__REJECTS_ALL": "true"}, "field='misbehaviour.NOPE'"),
    ],
)
def test_bad_argument_or_variable_is_refused_by_name_and_leaves_no_run(
    here: Here, arguments: tuple[str, ...], extra: dict[str, str], told: str
) -> None:
    said = here("run", *arguments, "--id", "bad", "--runs", str(here.runs), **extra)
    assert said.code == 2
    assert said.err.startswith("axiom: ")
    assert len(said.err.splitlines()) == 1
    assert told in said.err
    assert not (here.runs / "bad").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[quoting]\nsped = 1\n", "unknown key 'quoting.sped'"),
        ("[quotes]\nsize = 1\n", "unknown key 'quotes'"),
        ("[quoting\n", "settings are not TOML"),
        ("quoting = 5\n", "field='quoting' value=5"),
        ("[run]\nseed = -1\n", "field='run.seed' value=-1"),
    ],
)
def test_bad_settings_file_is_refused_by_name(here: Here, tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    said = here("run", "--settings", str(path), "--runs", str(here.runs))
    assert (said.code, told in said.err) == (2, True), said.err


@pytest.mark.parametrize("name", ["last", "../outside", "a/b", ".hidden", "", " "])
def test_name_that_is_no_name_is_refused(here: Here, name: str) -> None:
    said = here("run", "--id", name or "\t", "--runs", str(here.runs))
    assert said.code == 2
    assert "field='id'" in said.err
    assert not list(here.runs.glob("**/run.json"))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("NOPE,5", "field='row 2' value='NOPE'"),
        ("SYN,many", "field='row 2'"),
        ("SYN   260306C99999000,1", "field='row 2' value='SYN   260306C99999000'"),
    ],
)
def test_bad_positions_file_is_refused_by_row(here: Here, tmp_path: Path, row: str, told: str) -> None:
    path = tmp_path / "positions.csv"
    path.write_text(f"symbol,quantity\n{row}\n")
    said = here("run", "--positions", str(path), "--id", "bad", "--runs", str(here.runs))
    assert (said.code, told in said.err) == (2, True), said.err
    assert not (here.runs / "bad").exists()


def test_what_the_system_refuses_is_one_line_and_leaves_no_run(here: Here, tmp_path: Path) -> None:
    """A folder where an archive should be: no error of ours, but the system's, while the day is read."""
    options = tmp_path / "option" / "usa" / "minute" / "sym"
    (options / f"{DAY.replace('-', '')}_quote_american.zip").mkdir(parents=True)
    arguments = ("--source", "lean", "--path", str(tmp_path), "--underlying", "SYM", "--date", DAY)
    said = here("run", *arguments, "--id", "bad", "--runs", str(here.runs))
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "the system refused: Is a directory [path='" in said.err
    assert not (here.runs / "bad").exists()


# --- Runs that exist --------------------------------------------------------------------------------------------------


def test_run_that_exists_is_not_overwritten(here: Here, finished: tuple[Axiom, dict[str, Any]]) -> None:
    runs = finished[0].runs
    before = journal_bytes(runs / "whole" / "journal")
    said = here("run", "--id", "whole", "--runs", str(runs))
    assert said.code == 2
    assert "run exists already [field='run' value='whole']" in said.err
    assert journal_bytes(runs / "whole" / "journal") == before


@pytest.mark.parametrize("command", ["replay", "resume", "report", "tail"])
def test_run_that_is_not_there_is_named(here: Here, command: str) -> None:
    said = here(command, "nobody", "--runs", str(here.runs))
    assert said.code == 2
    assert "no such run [field='run' value='nobody'" in said.err


@pytest.mark.parametrize("command", ["replay", "resume", "tail", "report", "diff"])
def test_damaged_journal_is_refused_by_place_and_stays_as_it_is(
    here: Here, finished: tuple[Axiom, dict[str, Any]], command: str
) -> None:
    """A record altered in the middle is no torn tail: nothing is cut, and nobody goes on from it."""
    run = here.runs / "damaged"
    shutil.copytree(finished[0].runs / "whole", run)
    path = segments(run / "journal")[0]
    place = [record.start for record in JournalReader(run / "journal")][100]
    data = bytearray(path.read_bytes())
    data[place + 40] ^= 0x01
    path.write_bytes(data)
    arguments = (str(run), str(run)) if command == "diff" else (str(run),)
    said = here(command, *arguments, "--runs", str(here.runs))
    assert said.code == 2
    assert f"segment='{path.name}' position={place}" in said.err
    assert "Traceback" not in said.err
    assert path.read_bytes() == data


def test_journal_that_was_torn_replays_what_it_holds(here: Here, finished: tuple[Axiom, dict[str, Any]]) -> None:
    run = here.runs / "torn"
    shutil.copytree(finished[0].runs / "whole", run)
    records = list(JournalReader(run / "journal"))
    last = [record for record in records if record.kind is Kind.INPUT][-20]
    path = segments(run / "journal")[0]
    path.write_bytes(path.read_bytes()[: last.end - 3])
    said = here("replay", str(run), "--json", "--runs", str(here.runs))
    assert said.code == 0
    assert '"equal":true' in said.out
    assert f'"torn_bytes":{last.end - 3 - last.start}' in said.out
