"""Laws of the LEAN reader: what the recorded days hold, when it is known, and what bad archives give."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import ny_ns, session
from domain.errors import DataError, InputError
from domain.events import (
    ChainListed,
    Event,
    FeedDegraded,
    NbboUpdated,
    OpenInterestPublished,
    TradesPrinted,
    UnderlyingTraded,
    UnderlyingUpdated,
)
from domain.price import NICKEL_DIME, PENNY
from streams.lean import open_lean
from streams.lean_archive import KINDS, decode, member_of
from streams.recorded import Recording
from streams.refusals import MINUTE_NS, Refusals

GOOG_DAY = dt.date(2015, 12, 24)
DAY = dt.date(2015, 12, 24)
OPEN_MS = 34_200_000
CALL = "20151224_sym_minute_quote_american_call_7500000_20160115.csv"
PUT = "20151224_sym_minute_quote_american_put_7500000_20160115.csv"


def refused(recording: Recording) -> Counter[str]:
    counts: Counter[str] = Counter()
    for item in recording.items():
        if isinstance(item.event, FeedDegraded):
            counts[item.event.reason] += item.event.count
    return counts


def events(recording: Recording, kind: type[Event]) -> list[Any]:
    return [item.event for item in recording.items() if isinstance(item.event, kind)]


# --- Recorded days ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def goog(lean_root: Path) -> Recording:
    return open_lean(lean_root, "GOOG", GOOG_DAY)


@pytest.mark.data
def test_every_row_of_the_recorded_day_is_published_or_counted(goog: Recording) -> None:
    assert sum(len(e.frame) for e in events(goog, NbboUpdated)) == 275_552 - 165
    assert sum(len(e.frame) for e in events(goog, TradesPrinted)) == 958
    assert [len(e.frame) for e in events(goog, OpenInterestPublished)] == [2_058]
    assert sum(int(e.frame.open_interest.sum()) for e in events(goog, OpenInterestPublished)) == 179_502
    assert len(events(goog, UnderlyingUpdated)) == 209
    assert len(events(goog, UnderlyingTraded)) == 210
    late = {e.source: e.count for e in events(goog, FeedDegraded) if e.reason == "after the close"}
    early = {e.source: e.count for e in events(goog, FeedDegraded) if e.reason == "before the open"}
    assert late["20151224_quote_american.zip"] == 165
    assert late["equity 20151224_quote.zip"] + early["equity 20151224_quote.zip"] == 260 - 209
    assert late["equity 20151224_trade.zip"] + early["equity 20151224_trade.zip"] == 227 - 210
    assert set(refused(goog)) == {"after the close", "before the open"}


@pytest.mark.data
def test_the_recorded_chain_and_its_session_are_those_of_the_half_day(goog: Recording) -> None:
    (listed,) = events(goog, ChainListed)
    assert len(listed.contracts) == 2_192
    assert len({contract.expiry for contract in listed.contracts}) == 12
    assert len({contract.strike for contract in listed.contracts}) == 188
    assert listed.tick_classes == {"GOOG": NICKEL_DIME}
    assert (goog.close_ns - goog.open_ns, goog.close_ns) == (210 * MINUTE_NS, ny_ns(GOOG_DAY, 13 * 3600))
    assert goog.name == "lean:GOOG:2015-12-24"
    assert not goog.is_synthetic
    assert goog.total_steps == len(events(goog, NbboUpdated)) == 210


@pytest.mark.data
def test_a_bar_is_published_at_its_end_with_its_closing_values(goog: Recording) -> None:
    contracts = events(goog, ChainListed)[0].contracts
    position = next(i for i, c in enumerate(contracts) if c.osi == "GOOG  151224C01000000")
    first = events(goog, NbboUpdated)[0]
    assert first.ts_event == goog.open_ns + MINUTE_NS
    row = int(np.flatnonzero(first.frame.contract == position)[0])
    # The member's first line: 34200000,,,,,0,21500,21500,5000,5000,19
    assert [int(column[row]) for column in first.frame.columns().values()] == [position, 0, 0, 5_000, 19]


@pytest.mark.data
def test_the_recorded_quotes_equal_the_table_made_of_them(goog: Recording, shared_data: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "lean" / "goog_20151224_option_nbbo_1min.parquet")
    c = {
        name: table[name].to_numpy()
        for name in ("ms_since_midnight_et", "bid", "ask", "bid_size", "ask_size", "strike")
    }
    inside = c["ms_since_midnight_et"] < 13 * 3_600_000
    frames = events(goog, NbboUpdated)
    for name in ("bid", "ask", "bid_size", "ask_size"):
        ours = np.concatenate([getattr(e.frame, name) for e in frames])
        theirs = np.rint(c[name][inside] * (10_000 if name in {"bid", "ask"} else 1)).astype(np.int64)
        assert int(ours.sum()) == int(theirs.sum())
        assert np.array_equal(np.sort(ours), np.sort(theirs))
    stamps = np.repeat([e.ts_event for e in frames], [len(e.frame) for e in frames])
    known = ny_ns(GOOG_DAY) + (c["ms_since_midnight_et"][inside] + 60_000) * 1_000_000
    assert np.array_equal(np.sort(stamps), np.sort(known))


@pytest.mark.data
@pytest.mark.parametrize("above", ["Data", "", "..", "../.."])
def test_the_folder_may_be_the_data_folder_or_one_above_it(lean_root: Path, above: str) -> None:
    path = {
        "Data": lean_root,
        "": lean_root.parent,
        "..": lean_root.parent.parent,
        "../..": lean_root.parent.parent.parent,
    }
    if above == "../..":
        with pytest.raises(InputError, match="no LEAN data folder: looked for option/usa"):
            open_lean(path[above], "GOOG", dt.date(2015, 12, 28))
    else:
        assert open_lean(path[above], "goog", dt.date(2015, 12, 28)).underlying == "GOOG"


@pytest.mark.data
def test_a_missing_date_or_underlying_lists_what_there_is(lean_root: Path) -> None:
    with pytest.raises(InputError, match=r"no quotes on that date.*2015-12-29.*20151224.*20151228"):
        open_lean(lean_root, "GOOG", dt.date(2015, 12, 29))
    with pytest.raises(InputError, match=r"no minute options of that underlying.*'NONE'.*GOOG.*SPXW.*TWX"):
        open_lean(lean_root, "NONE", GOOG_DAY)


@pytest.mark.data
def test_a_day_without_the_underlying_says_so(lean_root: Path) -> None:
    twx = open_lean(lean_root, "TWX", dt.date(2014, 6, 5))
    assert refused(twx) == {
        "no underlying": 1,
        "after the close": 30_468 - sum(len(e.frame) for e in events(twx, NbboUpdated)),
    }
    assert not events(twx, UnderlyingUpdated)
    assert events(twx, ChainListed)[0].tick_classes == {"TWX": PENNY}


@pytest.mark.data
def test_an_index_is_a_level_in_new_york_time(lean_root: Path) -> None:
    spx = open_lean(lean_root, "SPX", dt.date(2021, 1, 4))
    first = events(spx, UnderlyingUpdated)[0]
    # The member's first line, Central time: 30600000,3764.61,3769.99,3764.61,3766.63,59
    assert first.ts_event == spx.open_ns + MINUTE_NS
    assert (first.bid, first.ask, first.bid_size, first.ask_size) == (37_666_300, 37_666_300, 0, 0)
    contracts = events(spx, ChainListed)[0].contracts
    assert Counter(c.root for c in contracts) == {"SPX": 6, "SPXW": 12}
    assert {(c.root, c.settlement) for c in contracts} == {("SPX", "AM"), ("SPXW", "PM")}
    assert {c.style for c in contracts} == {"european"}


@pytest.mark.data
def test_a_root_can_be_read_alone_and_crossed_bars_are_published_and_counted(lean_root: Path) -> None:
    weekly = open_lean(lean_root, "SPXW", dt.date(2021, 1, 8))
    assert weekly.underlying == "SPX"
    assert {c.root for c in events(weekly, ChainListed)[0].contracts} == {"SPXW"}
    assert refused(weekly)["crossed, published as it is"] == 48
    crossed = sum(int(((e.frame.bid > e.frame.ask) & (e.frame.ask > 0)).sum()) for e in events(weekly, NbboUpdated))
    assert crossed == 48


# --- Hand-made archives -----------------------------------------------------------------------------------------------


def archive(members: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in members.items():
            bundle.writestr(zipfile.ZipInfo(name, (2015, 12, 24, 0, 0, 0)), text)
    return content.getvalue()


def bar(minute: int, bid: str = "10000", ask: str = "11000", size: str = "5") -> str:
    return f"{OPEN_MS + minute * 60_000},1,1,1,{bid},{size},1,1,1,{ask},{size}"


def folder(root: Path, content: bytes, name: str = "20151224_quote_american.zip") -> Path:
    path = root / "Data" / "option" / "usa" / "minute" / "sym" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return root


def opened(root: Path, members: dict[str, str]) -> Recording:
    return open_lean(folder(root, archive(members)), "SYM", DAY)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (bar(1, bid="-5"), "negative price"),
        (bar(1, size="-5"), "negative size"),
        (bar(1, size="3000000000"), "size out of range"),
        (bar(1, ask="20000000000"), "price above a million dollars"),
        (bar(1, ask="1.5"), "not a number"),
        (bar(1, ask="abc"), "not a number"),
        (bar(1, ask="9" * 30), "not a number"),
        (bar(1, size=""), "empty field"),
        (bar(1) + ",7", "wrong column count"),
        ("garbage", "wrong column count"),
        (bar(1).replace(str(OPEN_MS + 60_000), "-1"), "stamp outside the day"),
        (bar(-1), "clock did not move on"),
        (bar(0), "clock did not move on"),
        (bar(1).replace("10000", "é"), "not plain text"),
    ],
)
def test_a_bad_row_is_counted_with_its_line_and_the_others_are_published(tmp_path: Path, row: str, reason: str) -> None:
    recording = opened(tmp_path, {PUT: bar(0), CALL: "\n".join([bar(0), row, bar(2)])})
    counts = refused(recording)
    assert counts.pop("no underlying") == 1
    assert counts == {reason: 1}
    (degraded,) = [e for e in events(recording, FeedDegraded) if e.reason == reason]
    assert degraded.example.startswith(f"{CALL} line 2: ")
    assert degraded.source == "20151224_quote_american.zip"
    assert [e.frame.contract.tolist() for e in events(recording, NbboUpdated)] == [[0, 1], [0]]


def test_a_member_that_is_no_contract_loses_its_rows_and_they_are_counted(tmp_path: Path) -> None:
    members = {CALL: bar(0), "readme.txt": "a\nb\nc", CALL.replace("sym", "oth"): f"{bar(0)}\n{bar(1)}\n"}
    recording = opened(tmp_path, members)
    assert refused(recording)["unknown contract"] == 5
    other_day = opened(tmp_path, {CALL: bar(0), CALL.replace("20151224", "20151223"): bar(0)})
    assert refused(other_day)["member of another day"] == 1


def test_a_price_without_size_is_no_side_and_is_counted(tmp_path: Path) -> None:
    recording = opened(tmp_path, {CALL: bar(0).replace(",5,1,1,1,", ",0,1,1,1,")})
    assert refused(recording)["price without size, side left out"] == 1
    frame = events(recording, NbboUpdated)[0].frame
    assert (int(frame.bid[0]), int(frame.bid_size[0]), int(frame.ask[0])) == (0, 0, 11_000)


def test_a_class_without_a_tick_row_takes_the_grid_that_its_quotes_keep_to(tmp_path: Path) -> None:
    assert (
        events(opened(tmp_path / "a", {CALL: bar(0, "10000", "10500")}), ChainListed)[0].tick_classes["SYM"]
        == NICKEL_DIME
    )
    assert events(opened(tmp_path / "b", {CALL: bar(0, "10100", "10500")}), ChainListed)[0].tick_classes["SYM"] == PENNY
    odd = opened(tmp_path / "c", {CALL: bar(0, "10101", "10500")})
    assert refused(odd)["prices on no tick grid"] == 1


def test_the_same_bar_in_two_archives_is_taken_once(tmp_path: Path) -> None:
    content = archive({CALL: bar(0)})
    folder(tmp_path, content, "20151224_quote_american.zip.zip")
    recording = open_lean(folder(tmp_path, content), "SYM", DAY)
    assert refused(recording)["bar in two archives"] == 1
    assert [len(e.frame) for e in events(recording, NbboUpdated)] == [1]


def test_open_interest_of_a_contract_that_nobody_quoted_is_counted(tmp_path: Path) -> None:
    interest = {
        CALL.replace("quote", "openinterest"): "23460000,12",
        PUT.replace("quote", "openinterest"): "23460000,5",
    }
    folder(tmp_path, archive(interest), "20151224_openinterest_american.zip")
    recording = opened(tmp_path, {CALL: bar(0)})
    assert refused(recording)["unknown contract"] == 1
    (published,) = events(recording, OpenInterestPublished)
    assert published.frame.open_interest.tolist() == [12]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"not a zip at all",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-10],
        lambda content: content.replace(content[60:70], bytes(10), 1),
    ],
    ids=["empty", "text", "half", "no end", "changed"],
)
def test_a_damaged_archive_is_refused_by_name_when_it_is_opened(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    content = archive({CALL: "\n".join(bar(minute, str(10_000 + 37 * minute)) for minute in range(200))})
    folder(tmp_path, damage(content))
    with pytest.raises(DataError, match=r"20151224_quote_american\.zip"):
        open_lean(tmp_path, "SYM", DAY)


def test_an_archive_without_a_contract_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no contract in the archives"):
        opened(tmp_path, {})


def test_the_name_of_a_member_is_its_contract() -> None:
    member = member_of(CALL, "SYM")
    assert member.date == DAY
    assert member.contract is not None
    assert (member.contract.osi, member.contract.style) == ("SYM   160115C00750000", "american")
    with pytest.raises(DataError, match="finer than a thousandth"):
        member_of(CALL.replace("7500000", "7500001"), "SYM")


# --- Any bytes --------------------------------------------------------------------------------------------------------

VALID = archive({CALL: "\n".join(bar(minute) for minute in range(3)), PUT: bar(0), "x/": ""})
TEXTS = st.one_of(
    st.text(max_size=200),
    st.text('0123456789,-.\n\r" ', max_size=200),
    st.lists(
        st.lists(st.sampled_from(["", "0", "1", "-1", str(OPEN_MS), "9" * 19, "nan"]), min_size=1, max_size=12)
    ).map(lambda rows: "\n".join(",".join(row) for row in rows)),
)
NAMES = st.one_of(
    st.sampled_from([CALL, PUT, CALL.replace("quote", "trade"), "20151224_sym_minute_quote.csv"]), st.text(max_size=30)
)
ARCHIVES = st.one_of(
    st.binary(max_size=200),
    st.tuples(st.integers(0, len(VALID) - 1), st.binary(min_size=1, max_size=8)).map(
        lambda edit: VALID[: edit[0]] + edit[1] + VALID[edit[0] + len(edit[1]) :]
    ),
    st.dictionaries(NAMES.filter(lambda name: "\x00" not in name and name), TEXTS, max_size=3).map(
        lambda members: archive({name: text.encode("utf-8", "replace").decode() for name, text in members.items()})
    ),
)


@pytest.mark.fuzz
@given(content=ARCHIVES, is_index=st.booleans())
def test_any_bytes_give_bars_or_a_data_error(*, content: bytes, is_index: bool) -> None:
    hours = session(DAY, "equity_option")
    for kind in KINDS:
        counted = Refusals(hours)
        try:
            asset = "index" if is_index else "option"
            bars = decode(io.BytesIO(content), kind, asset, source="x", underlying="SYM", refusals=counted)  # type: ignore[arg-type]
        except DataError:
            continue
        assert all(len(column) == len(bars.ts) == len(bars.member) for column in bars.columns.values())
        assert all((column >= 0).all() for column in bars.columns.values())
        assert not len(bars.ts) or bars.ts.max() < hours.close_ns
