"""Laws of the reader of Massive flat files, on hand-made rows and on the recorded GOOG day written in their form."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import itertools
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import session
from domain.errors import DataError, InputError
from domain.events import (
    ChainListed,
    FeedDegraded,
    NbboUpdated,
    SessionChanged,
    TradesPrinted,
    UnderlyingTraded,
    UnderlyingUpdated,
)
from domain.instrument import format_osi
from streams import massive_rows
from streams.lean import open_lean
from streams.massive_files import MassiveFileSettings, open_massive_files
from streams.massive_rows import QUOTES, TRADES, Tickers, decode
from streams.recorded import FeedItem, Recording
from streams.refusals import Refusals

DAY = dt.date(2023, 3, 13)
OPEN = session(DAY, "equity_option").open_ns
SECOND = 1_000_000_000
MINUTE = 60 * SECOND

QUOTE_HEADER = "ticker,ask_exchange,ask_price,ask_size,bid_exchange,bid_price,bid_size,sequence_number,sip_timestamp"
TRADE_HEADER = "ticker,conditions,correction,exchange,price,sip_timestamp,size"
STOCK_HEADER = (
    "ticker,ask_exchange,ask_price,ask_size,bid_exchange,bid_price,bid_size,conditions,indicators,"
    "participant_timestamp,sequence_number,sip_timestamp,tape,trf_timestamp"
)
MINUTE_HEADER = "ticker,volume,open,close,high,low,window_start,transactions"
CALL = "O:SYM230327C00390000"
PUT = "O:SYM230327P00390000"


def quote(ticker: str, bid: str, ask: str, at: float, size: str = "5") -> str:
    return f"{ticker},302,{ask},{size},301,{bid},{size},7,{OPEN + round(at * SECOND)}"


def trade(ticker: str, price: str, size: str, at: float, correction: str = "0") -> str:
    return f'{ticker},"209,227",{correction},302,{price},{OPEN + round(at * SECOND)},{size}'


def write(folder: Path, market: str, kind: str, header: str, rows: Iterable[str], day: dt.date = DAY) -> Path:
    path = folder / market / kind / f"{day:%Y/%m}" / f"{day}.csv.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write(header + "\n")
        file.writelines(row + "\n" for row in rows)
    return path


def opened(folder: Path, rows: Iterable[str], window_ms: int = 1_000) -> Recording:
    write(folder, "us_options_opra", "quotes_v1", QUOTE_HEADER, rows)
    return open_massive_files(folder, "SYM", DAY, MassiveFileSettings(window_ms=window_ms))


def refusals(recording: Recording) -> Counter[str]:
    counts: Counter[str] = Counter()
    for item in recording.items():
        if isinstance(item.event, FeedDegraded) and item.event.reason != "no underlying":
            counts[item.event.reason] += item.event.count
    return counts


def quoted(recording: Recording) -> list[tuple[int, list[tuple[int, ...]]]]:
    return [
        (
            (item.event.ts_event - OPEN) // 1_000_000,
            list(zip(*(c.tolist() for c in item.event.frame.columns().values()), strict=True)),
        )
        for item in recording.items()
        if isinstance(item.event, NbboUpdated)
    ]


# --- Windows ----------------------------------------------------------------------------------------------------------


def test_the_last_quote_of_a_window_is_published_at_its_end(tmp_path: Path) -> None:
    rows = [
        quote(CALL, "1.00", "1.10", 0.0),
        quote(CALL, "1.01", "1.11", 0.999999999),
        quote(PUT, "2.00", "2.10", 0.5),
        quote(CALL, "1.02", "1.12", 1.0),
    ]
    assert quoted(opened(tmp_path, rows)) == [
        (1_000, [(0, 10_100, 5, 11_100, 5), (1, 20_000, 5, 21_000, 5)]),
        (2_000, [(0, 10_200, 5, 11_200, 5)]),
    ]


def test_the_last_window_of_the_session_is_published_at_the_close(tmp_path: Path) -> None:
    last = 390 * 60 - 0.000001
    recording = opened(tmp_path, [quote(CALL, "1.00", "1.10", last)])
    events = [item.event for item in recording.items()]
    assert isinstance(events[-2], NbboUpdated)
    assert events[-2].ts_event == recording.close_ns
    assert isinstance(events[-1], SessionChanged)
    assert events[-1].state == "closed"


def test_files_ordered_by_ticker_and_files_ordered_by_time_give_the_same_items(tmp_path: Path) -> None:
    rows = [
        (at, ticker, quote(ticker, f"{1 + step / 100:.2f}", f"{2 + step / 100:.2f}", at))
        for ticker, offset in ((CALL, 0.0), (PUT, 0.3))
        for step in range(500)
        for at in (offset + step * 1.7,)
    ]
    by_ticker = [row for _, _, row in rows]
    by_time = [row for _, _, row in sorted(rows)]
    one = list(opened(tmp_path / "a", by_ticker).items())
    two = list(opened(tmp_path / "b", by_time).items())
    assert one == two


@pytest.mark.parametrize("block", [1 << 10, 1 << 13])
def test_the_size_of_a_block_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    rows = [quote(t, f"{1 + n / 100:.2f}", "9.00", n / 7) for n in range(700) for t in (CALL, PUT)]
    rows[100] = "garbage"
    whole = list(opened(tmp_path, rows).items())
    monkeypatch.setattr(massive_rows, "BLOCK_BYTES", block)
    assert list(opened(tmp_path, rows).items()) == whole


def test_prints_of_a_window_become_one_bar(tmp_path: Path) -> None:
    rows = [trade(CALL, "1.05", "3", 0.1), trade(CALL, "1.01", "2", 0.2), trade(CALL, "1.04", "1.0", 0.9)]
    write(tmp_path, "us_options_opra", "trades_v1", TRADE_HEADER, rows)
    recording = opened(tmp_path, [quote(CALL, "1.00", "1.10", 0.0)])
    (frame,) = [item.event.frame for item in recording.items() if isinstance(item.event, TradesPrinted)]
    assert [c.tolist() for c in frame.columns().values()] == [[0], [10_400], [10_100], [10_500], [6]]


def test_a_window_must_divide_a_minute() -> None:
    with pytest.raises(InputError, match=r"must divide a minute .*massive\.window_ms"):
        MassiveFileSettings(window_ms=7_000)


# --- Rows -------------------------------------------------------------------------------------------------------------


def test_price_zero_is_an_absent_side(tmp_path: Path) -> None:
    ((_, rows),) = quoted(opened(tmp_path, [quote(CALL, "0", "0.05", 0.0), quote(PUT, "", "", 0.0, "")]))
    assert rows == [(0, 0, 0, 500, 5), (1, 0, 0, 0, 0)]


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    names = ["sip_timestamp", "ask_size", "new_column", "bid_size", "ask_price", "bid_price", "ticker"]
    row = [str(OPEN), "2.0", "x", "3.000", "1.10", "1.00", CALL]
    write(tmp_path, "us_options_opra", "quotes_v1", ",".join(names), [",".join(row)])
    ((_, rows),) = quoted(open_massive_files(tmp_path, "SYM", DAY))
    assert rows == [(0, 10_000, 3, 11_000, 2)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (quote(CALL, "-1.00", "1.10", 1), "negative price"),
        (quote(CALL, "1.00", "1.10", 1, "-3"), "negative size"),
        (quote(CALL, "1.00", "1.10", 1, "2.5"), "size is not a whole number"),
        (quote(CALL, "1.00001", "1.10", 1), "price finer than a unit"),
        (quote(CALL, "2000000", "2000001", 1), "price above a million dollars"),
        (quote(CALL, "nan", "1.10", 1), "not a number"),
        (quote(CALL, "abc", "1.10", 1), "not a number"),
        (quote(CALL, "1.00", "1.10", 1) + ",extra", "wrong column count"),
        (quote(CALL, "1.00", "1.10", 1).rpartition(",")[0], "wrong column count"),
        (quote(CALL, "1.00", "1.10", 1).rpartition(",")[0] + ",", "empty field"),
        (quote("O:SYM23032XC00390000", "1.00", "1.10", 1), "unknown contract"),
        (quote("O:SYM230231C00390000", "1.00", "1.10", 1), "unknown contract"),
        (quote("SYM", "1.00", "1.10", 1), "unknown contract"),
        (quote(CALL, "1.00", "1.10", -5), "before the open"),
        (quote(CALL, "1.00", "1.10", 390 * 60), "after the close"),
    ],
)
def test_a_bad_row_is_counted_with_its_line_and_the_others_are_published(tmp_path: Path, row: str, reason: str) -> None:
    rows = [quote(CALL, "1.00", "1.10", 0), row, quote(CALL, "1.50", "1.60", 2)]
    recording = opened(tmp_path, rows)
    assert refusals(recording) == {reason: 1}
    assert len(quoted(recording)) == 2
    (degraded,) = [i.event for i in recording.items() if isinstance(i.event, FeedDegraded) and i.event.reason == reason]
    assert degraded.example.startswith("line 3: ")
    assert degraded.source == f"options quotes {DAY}.csv.gz"


def test_a_clock_that_runs_backwards_is_refused_and_the_stream_goes_on(tmp_path: Path) -> None:
    rows = [quote(CALL, "1.00", "1.10", 5), quote(CALL, "9.00", "9.10", 4), quote(CALL, "1.50", "1.60", 6)]
    recording = opened(tmp_path, rows)
    assert refusals(recording) == {"clock ran backwards": 1}
    assert [row[0][1] for _, row in quoted(recording)] == [10_000, 15_000]


def test_a_crossed_quote_is_published_and_counted(tmp_path: Path) -> None:
    recording = opened(tmp_path, [quote(CALL, "1.20", "1.10", 1)])
    assert refusals(recording) == {"crossed, published as it is": 1}
    assert quoted(recording)[0][1] == [(0, 12_000, 5, 11_000, 5)]


def test_other_underlyings_are_passed_over_without_a_count(tmp_path: Path) -> None:
    rows = [
        quote("O:SYMM230327C00390000", "1", "2", 0),
        quote(CALL, "1", "2", 0),
        quote("O:SPY230327C00390000", "1", "2", 0),
    ]
    recording = opened(tmp_path, rows)
    assert refusals(recording) == {}
    assert len(next(i.event for i in recording.items() if isinstance(i.event, ChainListed)).contracts) == 1


def test_corrected_prints_are_left_out(tmp_path: Path) -> None:
    rows = [trade(CALL, "1.05", "3", 0.1), trade(CALL, "9.01", "2", 0.2, "12"), trade(CALL, "0", "2", 0.3)]
    write(tmp_path, "us_options_opra", "trades_v1", TRADE_HEADER, rows)
    assert refusals(opened(tmp_path, [])) == {"corrected or cancelled print": 1, "price not positive": 1}


# --- Files ------------------------------------------------------------------------------------------------------------


def test_a_cut_gzip_gives_its_rows_and_then_says_so(tmp_path: Path) -> None:
    rows = [quote(t, f"{1 + n % 97 / 100:.2f}", "9.00", n / 7) for n in range(3_000) for t in (CALL, PUT)]
    whole = opened(tmp_path, rows)
    path = write(tmp_path, "us_options_opra", "quotes_v1", QUOTE_HEADER, rows)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    cut = open_massive_files(tmp_path, "SYM", DAY)
    frames, cut_frames = quoted(whole), quoted(cut)
    assert refusals(cut) == {"truncated": 1}
    assert len(frames) // 3 < len(cut_frames) < len(frames)
    assert cut_frames[:-1] == frames[: len(cut_frames) - 1]
    assert "rows" in next(
        i.event.example for i in cut.items() if isinstance(i.event, FeedDegraded) and i.event.reason == "truncated"
    )


def test_a_damaged_gzip_gives_the_rows_before_the_damage(tmp_path: Path) -> None:
    rows = [quote(CALL, f"{1 + n % 97 / 100:.2f}", "9.00", n / 7) for n in range(20_000)]
    path = write(tmp_path, "us_options_opra", "quotes_v1", QUOTE_HEADER, rows)
    packed = bytearray(path.read_bytes())
    packed[len(packed) // 2 : len(packed) // 2 + 40] = b"\xff" * 40
    path.write_bytes(packed)
    recording = open_massive_files(tmp_path, "SYM", DAY)
    assert refusals(recording)["damaged"] == 1
    assert quoted(recording)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "file has no header"),
        (b"\x1f\x8b\x08", "file has no header"),
        (b"ticker,bid_price\n", "column is missing"),
        (QUOTE_HEADER.encode(), "no row of the underlying"),
    ],
)
def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, "us_options_opra", "quotes_v1", QUOTE_HEADER, [])
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{message}.*{DAY}.csv.gz"):
        open_massive_files(tmp_path, "SYM", DAY)


def test_a_missing_date_lists_those_that_exist(tmp_path: Path) -> None:
    opened(tmp_path, [quote(CALL, "1", "2", 0)])
    with pytest.raises(InputError, match=r"no option quotes of that date.*2023-03-14.*there_are=\['2023-03-13'\]"):
        open_massive_files(tmp_path, "SYM", dt.date(2023, 3, 14))
    with pytest.raises(InputError, match="no such folder"):
        open_massive_files(tmp_path / "nowhere", "SYM", DAY)


@pytest.mark.parametrize("name", ["us_options_opra_quotes_v1_2023-03-13.csv", "quotes_v1_2023-03-13.csv"])
def test_a_flat_folder_and_plain_text_will_do(tmp_path: Path, name: str) -> None:
    text = "\r\n".join([QUOTE_HEADER, quote(CALL, "1.00", "1.10", 0)])  # also without a last newline
    (tmp_path / name).write_text(text)
    assert quoted(open_massive_files(tmp_path, "sym", DAY))[0][1] == [(0, 10_000, 5, 11_000, 5)]


# --- The underlying ---------------------------------------------------------------------------------------------------


def stock_quote(at: float, bid: str, ask: str) -> str:
    ns = OPEN + round(at * SECOND)
    return f"SYM,11,{ask},200,12,{bid},100,1,,{ns},5,{ns},1,0"


def underlying(recording: Recording) -> list[FeedItem]:
    return [i for i in recording.items() if isinstance(i.event, UnderlyingUpdated | UnderlyingTraded)]


def test_quotes_and_minute_bars_of_the_underlying_are_published_when_they_are_known(tmp_path: Path) -> None:
    rows = [
        stock_quote(0.1, "389.99", "390.01"),
        stock_quote(0.2, "390.00", "390.02"),
        stock_quote(61.5, "391", "391.1"),
    ]
    write(tmp_path, "us_stocks_sip", "quotes_v1", STOCK_HEADER, rows)
    bars = [f"SYM,1200.5,389,390.00501,391,388.5,{OPEN},40", f"OTHER,1,1,1,1,1,{OPEN},1"]
    write(tmp_path, "us_stocks_sip", "minute_aggs_v1", MINUTE_HEADER, bars)
    recording = opened(tmp_path, [quote(CALL, "1", "2", 0)])
    first, bar, second = (item.event for item in underlying(recording))
    assert isinstance(first, UnderlyingUpdated)
    assert (first.ts_event, first.bid, first.bid_size, first.ask, first.ask_size) == (
        OPEN + SECOND,
        3_900_000,
        100,
        3_900_200,
        200,
    )
    assert isinstance(bar, UnderlyingTraded)
    assert (bar.ts_event, bar.price, bar.low, bar.high, bar.volume) == (
        OPEN + MINUTE,
        3_900_050,
        3_885_000,
        3_910_000,
        1_200,
    )
    assert second.ts_event == OPEN + 62 * SECOND


def test_without_quotes_the_closes_of_minute_bars_are_a_level_and_that_is_said(tmp_path: Path) -> None:
    write(tmp_path, "us_stocks_sip", "minute_aggs_v1", MINUTE_HEADER, [f"SYM,1,389,390,391,388,{OPEN},4"])
    recording = opened(tmp_path, [quote(CALL, "1", "2", 0)])
    _, level = (item.event for item in underlying(recording))
    assert isinstance(level, UnderlyingUpdated)
    assert (level.bid, level.bid_size, level.ask, level.ask_size) == (3_900_000, 0, 3_900_000, 0)
    assert refusals(recording) == {"no underlying quotes": 1}


def test_a_day_without_the_underlying_says_so(tmp_path: Path) -> None:
    recording = opened(tmp_path, [quote(CALL, "1", "2", 0)])
    assert any(isinstance(i.event, FeedDegraded) and i.event.reason == "no underlying" for i in recording.items())
    assert not underlying(recording)


# --- Any bytes --------------------------------------------------------------------------------------------------------

BYTES = st.one_of(
    st.binary(max_size=300),
    st.binary(max_size=300).map(lambda tail: QUOTE_HEADER.encode() + b"\n" + tail),
    st.text('0123456789,.-+eEnaifO:SYM"\r\n', max_size=300).map(lambda tail: f"{QUOTE_HEADER}\n{tail}".encode()),
    st.lists(
        st.lists(
            st.sampled_from([CALL, PUT, "", "1.5", "-1", "nan", "inf", "1e400", str(OPEN), "9" * 18, "9" * 25, "0x10"]),
            min_size=7,
            max_size=10,
        ),
        max_size=6,
    ).map(lambda rows: "\n".join([QUOTE_HEADER, *(",".join(row) for row in rows)]).encode()),
)


@pytest.mark.fuzz
@given(content=BYTES, pack=st.booleans(), keep=st.floats(0, 1))
def test_any_bytes_give_rows_or_a_data_error(*, content: bytes, pack: bool, keep: float) -> None:
    if pack:
        packed = gzip.compress(content, mtime=0)
        content = packed[: round(len(packed) * keep)]
    hours = session(DAY, "equity_option")
    for layout in (QUOTES, TRADES):
        counted = Refusals(hours)
        tickers = Tickers("SYM", frozenset({"SYM"}))
        try:
            blocks = list(decode(io.BytesIO(content), layout, tickers, source="x", refusals=counted))
        except DataError:
            continue
        for columns in blocks:
            assert ((columns["ts"] >= hours.open_ns) & (columns["ts"] < hours.close_ns)).all()
            for name in (*layout.prices.values(), *layout.sizes.values()):
                assert (columns[name] >= 0).all()


# --- Recorded data in this form ---------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.slow
def test_the_same_day_in_both_forms_gives_the_same_frames(lean_root: Path, tmp_path: Path) -> None:
    """Prices are the recorded ones; the framing as flat files, and the time inside the minute, are ours."""
    day = dt.date(2015, 12, 24)
    lean = open_lean(lean_root, "GOOG", day)
    contracts: list[str] = []
    quotes: list[str] = []
    trades: list[str] = []
    stock: list[str] = []
    for item in itertools.islice(lean.items(), 150):
        event = item.event
        inside = event.ts_event - 1
        if isinstance(event, ChainListed):
            contracts = [f"O:{format_osi(contract, compact=True)}" for contract in event.contracts]
        elif isinstance(event, NbboUpdated):
            for c, bid, bid_size, ask, ask_size in zip(
                *(x.tolist() for x in event.frame.columns().values()), strict=True
            ):
                quotes += [f"{contracts[c]},1,{ask / 1e4},{ask_size},2,{bid / 1e4},{bid_size},3,{inside}"]
        elif isinstance(event, TradesPrinted):
            bars = (x.tolist() for x in event.frame.columns().values())
            for c, price, low, high, volume in zip(*bars, strict=True):
                prints = [(low, 0), (high, 0), (price, volume)]
                trades += [f"{contracts[c]},1,0,2,{p / 1e4},{inside},{v}" for p, v in prints]
        elif isinstance(event, UnderlyingUpdated):
            sides = f"{event.ask / 1e4},{event.ask_size},2,{event.bid / 1e4},{event.bid_size}"
            stock.append(f"GOOG,1,{sides},,,{inside},3,{inside},1,0")
    assert len(quotes) > 30_000
    write(
        tmp_path, "us_options_opra", "quotes_v1", QUOTE_HEADER, sorted(quotes, key=lambda q: q.partition(",")[0]), day
    )
    write(tmp_path, "us_options_opra", "trades_v1", TRADE_HEADER, trades, day)
    write(tmp_path, "us_stocks_sip", "quotes_v1", STOCK_HEADER, stock, day)
    flat = open_massive_files(tmp_path, "GOOG", day, MassiveFileSettings(window_ms=60_000))
    listed = next(i.event for i in flat.items() if isinstance(i.event, ChainListed)).contracts
    dense = np.array([contracts.index(f"O:{format_osi(c, compact=True)}") for c in listed])
    both = (NbboUpdated, TradesPrinted, UnderlyingUpdated)
    expected = [i.event for i in itertools.islice(lean.items(), 150) if isinstance(i.event, both)]
    actual = [i.event for i in flat.items() if isinstance(i.event, both)]
    assert len(actual) == len(expected)
    assert len(expected) > 50
    for mine, theirs in zip(actual, expected, strict=True):
        assert (type(mine), mine.ts_event) == (type(theirs), theirs.ts_event)
        if isinstance(mine, UnderlyingUpdated):
            assert mine == theirs
        else:
            assert isinstance(theirs, NbboUpdated | TradesPrinted)
            columns = mine.frame.columns()
            columns["contract"] = dense[columns["contract"]]
            assert type(mine.frame)(**columns) == theirs.frame
