"""A day from flat files of Massive (Polygon), conflated to flush windows. Decoding is in `streams.massive_rows`.

A file of the whole market is read once, when it is opened: the chain is known only at its end, and it may be ordered by
ticker. What concerns the underlying is conflated and put aside in a scratch file.
"""

from __future__ import annotations

import datetime as dt
import re
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from domain.calendar import Session
from domain.chain import Chain
from domain.errors import DataError, InputError
from domain.frames import NbboFrame, OpenInterestFrame, TradeFrame
from domain.price import BREAK, Units
from domain.roots_table import ROOT_TERMS
from streams.conflation import WINDOW, Scratch, bars_of_trades, last_quotes
from streams.massive_rows import MINUTES, QUOTES, TRADES, StockTicker, Tickers, decode
from streams.recorded import Recording, Step, StockBar, StockQuote, Tape, observed_ticks, option_hours
from streams.refusals import MINUTE_NS, Refusals

Ints = npt.NDArray[np.int64]

OPTIONS: Final = "us_options_opra"
STOCKS: Final = "us_stocks_sip"

_IN_MEMORY_BYTES: Final = 32 << 20
_MS: Final = 1_000_000
_COARSEST: Final = 1_000
_DATE: Final = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}")


class MassiveFileSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How flat files are read.

    Attributes:
        window_ms: Length of a flush window: a contract's last quote in it is published at its end. Divides a minute.
    """

    window_ms: int = 1_000

    def __post_init__(self) -> None:
        """Refuse windows that do not fill a minute."""
        if self.window_ms < 1 or 60_000 % self.window_ms:
            raise InputError("must divide a minute", field="massive.window_ms", value=self.window_ms)


def open_massive_files(
    path: Path | str, underlying: str, trade_date: dt.date, settings: MassiveFileSettings | None = None
) -> Recording:
    """Open a day of one underlying in a folder of flat files.

    Quotes of options must be there; their trades, and quotes or minute bars of the underlying, are read where they are.

    Args:
        path: Folder that holds `us_options_opra/quotes_v1/YYYY/MM/YYYY-MM-DD.csv.gz` (or `.csv`) and, for the
            underlying, `us_stocks_sip/...`; the folder `us_options_opra` itself; or a flat folder of files named
            `us_options_opra_quotes_v1_YYYY-MM-DD.csv.gz`, where the first part may be missing for options.
        underlying: Symbol of the underlying. All its roots are read.
        trade_date: Trade date, New York.
        settings: How the files are read.

    Returns:
        The day. The chain is every contract that was quoted or traded. Without quotes of the underlying, the closes of
        its minute bars stand on both sides with size 0.

    Raises:
        InputError: No such folder or date; the message lists the dates that exist.
        DataError: A file has no usable header, or holds nothing of the underlying.
    """
    settings = settings or MassiveFileSettings()
    symbol, root = underlying.upper(), Path(path)
    files = find_files(root, trade_date)
    terms = [row for row in ROOT_TERMS if row.underlying == symbol]
    hours = option_hours(symbol, trade_date, is_index=any(row.delivery == "cash" for row in terms))
    day = _Day(symbol, hours, settings.window_ms * _MS)
    day.read_options(files.quotes, files.trades, frozenset({symbol.replace(".", "")} | {row.root for row in terms}))
    day.read_stock(files.stock_quotes, files.stock_minutes)
    return day.tape(f"massive-files:{symbol}:{trade_date.isoformat()}")


# --- Files ------------------------------------------------------------------------------------------------------------


class Files(NamedTuple):
    """The files of a day, None where there is none."""

    quotes: Path
    trades: Path | None
    stock_quotes: Path | None
    stock_minutes: Path | None


def find_files(root: Path, trade_date: dt.date) -> Files:
    """Find the files of a day.

    Raises:
        InputError: There is no folder, or no file of option quotes of that day; the message lists the dates that exist.
    """
    if not root.is_dir():
        raise InputError("no such folder", field="path", value=str(root))
    quotes = _find(root, OPTIONS, "quotes_v1", trade_date)
    if quotes is None:
        names = sorted(file.name for file in root.rglob("*.csv*") if STOCKS not in file.as_posix())
        dates = sorted({match.group() for name in names if (match := _DATE.search(name))})
        raise InputError(
            "no option quotes of that date: looked for us_options_opra/quotes_v1/YYYY/MM/YYYY-MM-DD.csv.gz and for "
            "us_options_opra_quotes_v1_YYYY-MM-DD.csv.gz, also without us_options_opra, also as .csv",
            field="date",
            value=trade_date.isoformat(),
            there_are=dates,
        )
    return Files(
        quotes,
        _find(root, OPTIONS, "trades_v1", trade_date),
        _find(root, STOCKS, "quotes_v1", trade_date),
        _find(root, STOCKS, "minute_aggs_v1", trade_date),
    )


def _find(root: Path, market: str, kind: str, trade_date: dt.date) -> Path | None:
    day = trade_date.isoformat()
    tree = f"{kind}/{trade_date:%Y/%m}/{day}"
    stems = [f"{market}/{tree}", f"{market}_{kind}_{day}"]
    stems += [tree, f"{kind}_{day}"] if market == OPTIONS else [f"../{market}/{tree}"]
    candidates = (root / f"{stem}{suffix}" for stem in stems for suffix in (".csv.gz", ".csv"))
    return next((file for file in candidates if file.is_file()), None)


# --- The day ----------------------------------------------------------------------------------------------------------


class _Day:
    """Reads the files of a day and yields its steps."""

    def __init__(self, underlying: str, hours: Session, window_ns: int) -> None:
        self._underlying = underlying
        self._hours = hours
        self._window_ns = window_ns
        self._refusals = Refusals(hours)
        self._quotes, self._trades, self._stock = _scratch(), _scratch(), _scratch()
        self._has_stock_quotes = False
        self._minutes: dict[int, StockBar] = {}
        self._prices: dict[str, npt.NDArray[np.bool_]] = {}
        self._tickers = Tickers(underlying, frozenset())
        self._position: Ints = np.empty(0, np.int64)

    def read_options(self, quotes: Path, trades: Path | None, roots: frozenset[str]) -> None:
        """Read the options of the underlying, and list its chain.

        Raises:
            DataError: There are none, or a file has no usable header.
        """
        self._tickers = Tickers(self._underlying, roots)
        with quotes.open("rb") as stream:
            source = f"options quotes {quotes.name}"
            for c in decode(stream, QUOTES, self._tickers, source=source, refusals=self._refusals):
                self._see_prices(c["contract"], c["bid"], c["ask"])
                self._put(self._quotes, last_quotes(self._rows(c, "bid", "bid_size", "ask", "ask_size")))
        if trades is not None:
            with trades.open("rb") as stream:
                source = f"options trades {trades.name}"
                for c in decode(stream, TRADES, self._tickers, source=source, refusals=self._refusals):
                    self._put(self._trades, bars_of_trades(self._rows(c, "price", "price", "price", "volume")))
        if not self._tickers.contracts:
            raise DataError("no row of the underlying", source=quotes.name, underlying=self._underlying)
        self._chain = Chain(self._underlying, self._hours.date, self._tickers.contracts)
        index = {contract: position for position, contract in enumerate(self._chain.contracts)}
        self._position = np.array([index[contract] for contract in self._tickers.contracts], dtype=np.int64)

    def read_stock(self, quotes: Path | None, minutes: Path | None) -> None:
        """Read what there is of the underlying itself, and report what there is not."""
        ticker = StockTicker(self._underlying)
        if quotes is not None:
            with quotes.open("rb") as stream:
                source = f"stocks quotes {quotes.name}"
                for c in decode(stream, QUOTES, ticker, source=source, refusals=self._refusals):
                    self._put(self._stock, last_quotes(self._rows(c, "bid", "bid_size", "ask", "ask_size")))
                    self._has_stock_quotes = True
        if minutes is not None:
            with minutes.open("rb") as stream:
                source = f"stocks minutes {minutes.name}"
                for c in decode(stream, MINUTES, ticker, source=source, refusals=self._refusals):
                    bars = zip(*(c[name].tolist() for name in ("price", "low", "high", "volume")), strict=True)
                    closes = (self._ends(c["ts"] + MINUTE_NS - 1)).tolist()
                    self._minutes |= {ts: StockBar(*bar) for ts, bar in zip(closes, bars, strict=True)}
        if not self._has_stock_quotes and not self._minutes:
            self._refusals.add("massive-files", "no underlying", f"no quotes or minute bars of {self._underlying}")
        elif not self._has_stock_quotes:
            detail = f"the close of each minute stands for {self._underlying}"
            self._refusals.add("massive-files", "no underlying quotes", detail)

    def tape(self, name: str) -> Tape:
        """Return the recording."""
        contracts = self._chain.contracts
        ticks = observed_ticks(contracts, self._hours.date, self._seen_prices, self._refusals, "massive-files")
        return Tape(
            name=name,
            is_synthetic=False,
            underlying=self._underlying,
            hours=self._hours,
            total_steps=(self._hours.close_ns - self._hours.open_ns) // self._window_ns,
            contracts=contracts,
            ticks=ticks,
            steps=self.steps,
            open_interest=OpenInterestFrame.empty(),
            degraded=self._refusals.events(self._underlying),
        )

    def steps(self) -> Iterator[Step]:
        """Yield the windows in which something happened."""
        opens, width = self._hours.open_ns, self._window_ns
        for minute in range((self._hours.close_ns - opens) // MINUTE_NS):
            quotes = last_quotes(self._listed(self._quotes.get(minute)))
            trades = bars_of_trades(self._listed(self._trades.get(minute)))
            stock = last_quotes(self._stock.get(minute))
            levels = {int(row[WINDOW]): StockQuote(*row[2:].tolist()) for row in stock}
            last = (minute + 1) * MINUTE_NS // width - 1
            bar = self._minutes.get(opens + (last + 1) * width)
            if bar is not None and not self._has_stock_quotes:
                levels[last] = StockQuote(bar.price, 0, bar.price, 0)
            windows = {*quotes[:, WINDOW].tolist(), *trades[:, WINDOW].tolist(), *levels}
            for window in sorted(windows if bar is None else windows | {last}):
                q, t = _of(quotes, window), _of(trades, window)
                yield Step(
                    ts=opens + (window + 1) * width,
                    trades=TradeFrame(*t.T[1:]) if len(t) else None,
                    stock_bar=bar if window == last else None,
                    stock_quote=levels.get(window),
                    nbbo=NbboFrame(*q.T[1:]) if len(q) else None,
                )

    def _listed(self, rows: Ints) -> Ints:
        """Replace codes of tickers by positions in the chain."""
        if len(rows):
            rows[:, 1] = self._position[rows[:, 1]]
        return rows

    def _ends(self, ts: Ints) -> Ints:
        """Return the end of the window that holds each instant."""
        return self._hours.open_ns + ((ts - self._hours.open_ns) // self._window_ns + 1) * self._window_ns

    def _rows(self, columns: dict[str, Ints], *names: str) -> Ints:
        window = (columns["ts"] - self._hours.open_ns) // self._window_ns
        return np.column_stack([window, columns["contract"], *(columns[name] for name in names)])

    def _put(self, scratch: Scratch, rows: Ints) -> None:
        scratch.put(rows[:, WINDOW] * self._window_ns // MINUTE_NS, rows)

    def _see_prices(self, contract: Ints, *sides: Ints) -> None:
        """Note where on the grid the quotes of each root stand: below and above the break, modulo the coarsest tick."""
        root_of = np.array([c.root for c in self._tickers.contracts], dtype=np.str_)
        for root in np.unique(root_of).tolist():
            mine = (root_of == root)[contract]
            seen = self._prices.setdefault(root, np.zeros(2 * _COARSEST, np.bool_))
            for side in sides:
                price = side[mine & (side > 0)]
                seen[price % _COARSEST + np.where(price < BREAK, 0, _COARSEST)] = True

    def _seen_prices(self, root: str) -> Units:
        """Return prices that stand where the quotes of a root stood: one for each place on the grid."""
        place = np.flatnonzero(self._prices.get(root, np.empty(0, np.bool_)))
        return np.where(place < _COARSEST, place + _COARSEST, place - _COARSEST + BREAK).astype(np.int64)


def _of(rows: Ints, window: int) -> Ints:
    first, last = np.searchsorted(rows[:, WINDOW], [window, window + 1])
    return rows[first:last]


def _scratch() -> Scratch:
    """Return a scratch space: in memory while it is small, then in a file that vanishes with it."""
    file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - lives as long as the recording
    scratch = Scratch(file)
    weakref.finalize(scratch, file.close)
    return scratch
