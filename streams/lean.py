"""A day from a LEAN data folder, published bar by bar as the bars close. Decoding is in `streams.lean_archive`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.calendar import Session
from domain.chain import Chain
from domain.errors import DataError, InputError, UnknownContract
from domain.frames import NbboFrame, OpenInterestFrame, TradeFrame
from domain.instrument import OptionContract
from domain.roots_table import ROOT_TERMS
from streams.lean_archive import Asset, Bars, Kind, decode
from streams.recorded import (
    LISTED_BEFORE_OPEN_NS,
    MINUTE_NS,
    Recording,
    Refusals,
    Step,
    StockBar,
    StockQuote,
    Tape,
    note_quality,
    observed_ticks,
    option_hours,
)

Ints = npt.NDArray[np.int64]

_OPTION_ASSETS: Final = ("option", "indexoption")


class Folder(NamedTuple):
    """Where the archives of one root are."""

    path: Path
    is_index: bool


def open_lean(path: Path | str, underlying: str, trade_date: dt.date) -> Recording:
    """Open a day of one underlying in a LEAN data folder.

    Args:
        path: The folder that holds `Data`, that folder itself, or one above.
        underlying: Symbol of the underlying, or a root of it: `SPXW` reads that root alone, `SPX` all of its roots.
        trade_date: Trade date, New York.

    Returns:
        The day. The chain is every contract that has a quote or trade member. An index, which has no quotes, shows its
        level on both sides with size 0.

    Raises:
        InputError: No such folder, underlying or date; the message lists what there is.
        DataError: An archive is damaged.
    """
    symbol = underlying.upper()
    data = data_folder(Path(path))
    name, folders = option_folders(data, symbol)
    if not _archives(folders, trade_date, "quote"):
        days = sorted({file.name[:8] for folder in folders for file in folder.path.glob("*_quote*.zip")})
        raise InputError("no quotes on that date", field="date", value=trade_date.isoformat(), there_are=days)
    is_index = any(folder.is_index for folder in folders)
    hours = option_hours(name, trade_date, is_index=is_index)
    refusals = Refusals(hours)

    def read(file: Path, kind: Kind, asset: Asset) -> tuple[str, Bars]:
        source = file.name if asset == "option" else f"{asset} {file.name}"
        with file.open("rb") as stream:
            bars = decode(
                stream,
                kind,
                asset=asset,
                source=source,
                underlying=name,
                trade_date=trade_date,
                refusals=refusals,
            )
        return source, bars

    def read_options(kind: Kind) -> list[tuple[str, Bars]]:
        return [read(file, kind, "option") for file in _archives(folders, trade_date, kind)]

    def read_stock(kind: Kind) -> list[tuple[str, Bars]]:
        asset: Asset = "index" if is_index else "equity"
        folder = data / asset / "usa" / "minute" / name.lower()
        return [read(file, kind, asset) for file in sorted(folder.glob(f"{trade_date:%Y%m%d}_{kind}*.zip"))]

    quotes, trades, interest = read_options("quote"), read_options("trade"), read_options("openinterest")
    contracts = {c for _, bars in (*quotes, *trades) for c in bars.members if c is not None}
    if not contracts:
        raise DataError("no contract in the archives", source=", ".join(source for source, _ in quotes))
    chain = Chain(name, trade_date, contracts)
    day = Day(chain, hours, refusals)
    quotes_table = day.table(quotes)
    trades_table = day.table(trades)
    stock_quotes = day.in_session(read_stock("quote"))
    stock_trades = day.in_session(read_stock("trade"))
    if stock_trades is None and stock_quotes is None:
        refusals.add("lean", "no underlying", f"no minute bars of {name} on {trade_date.isoformat()}")
    elif stock_quotes is None and not is_index:
        refusals.add("lean", "no underlying quotes", f"no minute quote bars of {name} on {trade_date.isoformat()}")
    note_quality(quotes_table.nbbo(), quotes_table.ts, chain, refusals, "+".join(source for source, _ in quotes))
    ticks = observed_ticks(chain.contracts, trade_date, (quotes_table.nbbo(),), refusals, "lean")
    return Tape(
        name=f"lean:{symbol}:{trade_date.isoformat()}",
        is_synthetic=False,
        underlying=name,
        hours=hours,
        total_steps=(hours.close_ns - hours.open_ns) // MINUTE_NS,
        contracts=chain.contracts,
        ticks=ticks,
        steps=_Steps(quotes_table, trades_table, stock_quotes, stock_trades, is_index=is_index),
        open_interest=day.open_interest(interest),
        degraded=refusals.events(name),
    )


# --- Folders ----------------------------------------------------------------------------------------------------------


def data_folder(path: Path) -> Path:
    """Return LEAN's data folder, given itself or a folder one or two levels above it.

    Raises:
        InputError: There is none.
    """
    for candidate in (path, path / "Data", path / "lean" / "Data"):
        if any((candidate / asset / "usa").is_dir() for asset in _OPTION_ASSETS):
            return candidate
    raise InputError(
        "no LEAN data folder: looked for option/usa and indexoption/usa here, in Data and in lean/Data",
        field="path",
        value=str(path),
    )


def option_folders(data: Path, symbol: str) -> tuple[str, list[Folder]]:
    """Return the underlying that a symbol names and the folders of its roots: SPX has those of SPX and of SPXW.

    Raises:
        InputError: There are none; the message lists the symbols that exist.
    """
    named = next((row for row in ROOT_TERMS if row.root == symbol), None)
    underlying = symbol if named is None else named.underlying
    roots = {symbol}
    if symbol == underlying:
        roots |= {row.root for row in ROOT_TERMS if row.underlying == symbol}
    found = [
        Folder(folder, asset == "indexoption")
        for asset in _OPTION_ASSETS
        for root in sorted(roots)
        if (folder := data / asset / "usa" / "minute" / root.lower()).is_dir()
    ]
    if not found:
        known = sorted(
            {
                folder.name.upper()
                for asset in _OPTION_ASSETS
                for folder in (data / asset / "usa" / "minute").glob("*")
                if folder.is_dir()
            }
        )
        raise InputError(
            "no minute options of that underlying: looked in option/usa/minute and indexoption/usa/minute",
            field="underlying",
            value=symbol,
            there_are=known,
        )
    return underlying, found


def _archives(folders: list[Folder], trade_date: dt.date, kind: Kind) -> list[Path]:
    pattern = f"{trade_date:%Y%m%d}_{kind}*.zip"  # also `.zip.zip`, a wrong name that is in circulation
    return [path for folder in folders for path in sorted(folder.path.glob(pattern))]


# --- The day ----------------------------------------------------------------------------------------------------------


class Table(NamedTuple):
    """Bars of all contracts, ordered by time and contract.

    Attributes:
        ts: When each bar closed, ns, int64, shape (n,).
        contract: Dense index, int64, shape (n,).
        columns: Price and size columns, int64, shape (n,).
    """

    ts: Ints
    contract: Ints
    columns: dict[str, Ints]

    def rows(self, ts: int) -> slice:
        """Where the bars that closed at that instant stand."""
        return slice(int(np.searchsorted(self.ts, ts)), int(np.searchsorted(self.ts, ts, side="right")))

    def nbbo(self, rows: slice = slice(None)) -> NbboFrame:
        """Bars of quotes as a frame of their closing quotes."""
        c = self.columns
        return NbboFrame(self.contract[rows], c["bid"][rows], c["bid_size"][rows], c["ask"][rows], c["ask_size"][rows])

    def trades(self, rows: slice) -> TradeFrame:
        """Bars of trades as a frame."""
        c = self.columns
        return TradeFrame(self.contract[rows], c["close"][rows], c["low"][rows], c["high"][rows], c["volume"][rows])


class Day:
    """Puts the bars of several archives together."""

    def __init__(self, chain: Chain, hours: Session, refusals: Refusals) -> None:
        self._chain = chain
        self._hours = hours
        self._refusals = refusals

    def in_session(self, archives: list[tuple[str, Bars]]) -> Bars | None:
        """Return the bars of the underlying that start and end inside the session, None where there are none."""
        parts = [self._inside(source, bars) for source, bars in archives]
        return next((bars for bars in parts if len(bars.ts)), None)

    def table(self, archives: list[tuple[str, Bars]]) -> Table:
        """Return the bars of contracts that start and end inside the session."""
        parts = [self._inside(source, bars) for source, bars in archives]
        contract = np.concatenate([self._positions(bars) for bars in parts] or [np.empty(0, np.int64)])
        ts = np.concatenate([bars.ts for bars in parts] or [np.empty(0, np.int64)]) + MINUTE_NS
        order = np.lexsort((contract, ts))
        names = parts[0].columns if parts else ("close", "low", "high", "volume")
        columns = {name: np.concatenate([bars.columns[name] for bars in parts])[order] for name in names if parts}
        return Table(ts[order], contract[order], columns)

    def open_interest(self, archives: list[tuple[str, Bars]]) -> OpenInterestFrame:
        """Return the open interest that was out before the session, in dense-index order; the rest is counted."""
        known = np.full(len(self._chain), -1, np.int64)
        published = self._hours.open_ns - LISTED_BEFORE_OPEN_NS
        for source, bars in archives:
            positions = self._positions(bars)
            unlisted = positions < 0
            late = ~unlisted & (bars.ts > published)
            self._refuse(source, "unknown contract", bars, unlisted)
            self._refuse(source, "open interest after the listing", bars, late)
            good = ~unlisted & ~late
            known[positions[good]] = bars.columns["open_interest"][good]
        rows = np.flatnonzero(known >= 0)
        return OpenInterestFrame(rows, known[rows])

    def _positions(self, bars: Bars) -> Ints:
        """Return the dense index of each bar's contract, -1 where the chain does not list it."""
        lookup = np.array([self._position(contract) for contract in bars.members] or [-1], dtype=np.int64)
        return lookup[bars.member]

    def _position(self, contract: OptionContract | None) -> int:
        try:
            return -1 if contract is None else self._chain.index_of(contract)
        except UnknownContract:
            return -1

    def _inside(self, source: str, bars: Bars) -> Bars:
        early, late = bars.ts < self._hours.open_ns, bars.ts + MINUTE_NS > self._hours.close_ns
        self._refuse(source, "before the open", bars, early)
        self._refuse(source, "after the close", bars, late)
        return bars.take(~(early | late)) if early.any() or late.any() else bars

    def _refuse(self, source: str, reason: str, bars: Bars, bad: npt.NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(bad)
        if not len(rows):
            return

        def example(at: int) -> str:
            contract = bars.members[int(bars.member[rows[at]])]
            minute = (int(bars.ts[rows[at]]) - self._hours.open_ns) // MINUTE_NS
            return f"{self._chain.underlying if contract is None else contract.osi}, {minute} minutes from the open"

        self._refusals.add_rows(source, reason, bars.ts[rows], example)


class _Steps:
    """Makes a fresh iterator of steps each time it is called: it holds the day, the iterator holds only its place."""

    def __init__(
        self, quotes: Table, trades: Table, stock_quotes: Bars | None, stock_trades: Bars | None, *, is_index: bool
    ) -> None:
        self._quotes = quotes
        self._trades = trades
        self._bars: dict[int, StockBar] = {}
        self._levels: dict[int, StockQuote] = {}
        if stock_trades is not None:
            c = stock_trades.columns
            rows = zip(c["close"].tolist(), c["low"].tolist(), c["high"].tolist(), c["volume"].tolist(), strict=True)
            closes = (stock_trades.ts + MINUTE_NS).tolist()
            self._bars = {ts: StockBar(*row) for ts, row in zip(closes, rows, strict=True)}
            if is_index:
                self._levels = {ts: StockQuote(bar.price, 0, bar.price, 0) for ts, bar in self._bars.items()}
        if stock_quotes is not None:
            c = stock_quotes.columns
            sides = zip(
                c["bid"].tolist(), c["bid_size"].tolist(), c["ask"].tolist(), c["ask_size"].tolist(), strict=True
            )
            closes = (stock_quotes.ts + MINUTE_NS).tolist()
            self._levels = {ts: StockQuote(*row) for ts, row in zip(closes, sides, strict=True)}
        stamps = {*np.unique(quotes.ts).tolist(), *np.unique(trades.ts).tolist(), *self._bars, *self._levels}
        self._stamps = sorted(stamps)

    def __call__(self) -> Iterator[Step]:
        for ts in self._stamps:
            trades, quotes = self._trades.rows(ts), self._quotes.rows(ts)
            yield Step(
                ts=ts,
                trades=self._trades.trades(trades) if trades.stop > trades.start else None,
                stock_bar=self._bars.get(ts),
                stock_quote=self._levels.get(ts),
                nbbo=self._quotes.nbbo(quotes) if quotes.stop > quotes.start else None,
            )
