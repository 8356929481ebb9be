"""A day from a LEAN data folder, published bar by bar as the bars close. Decoding is in `streams.lean_archive`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.chain import Chain
from domain.errors import DataError, InputError
from domain.frames import NbboFrame, OpenInterestFrame, TradeFrame
from domain.price import Units
from domain.roots_table import ROOT_TERMS
from streams.lean_archive import KINDS, Asset, Bars, Kind, decode
from streams.recorded import Recording, Step, StockBar, StockQuote, Tape, observed_ticks, option_hours
from streams.refusals import MINUTE_NS, Refusals

Ints = npt.NDArray[np.int64]

_OPTION_ASSETS: Final = ("option", "indexoption")
_NBBO: Final = ("bid", "bid_size", "ask", "ask_size")
_PRINTS: Final = ("close", "low", "high", "volume")


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

    def read(kind: Kind, asset: Asset, files: list[Path]) -> list[tuple[str, Bars]]:
        found: list[tuple[str, Bars]] = []
        for file in files:
            source = file.name if asset == "option" else f"{asset} {file.name}"
            with file.open("rb") as stream:
                bars = decode(stream, kind, asset, source=source, underlying=name, refusals=refusals)
            found.append((source, bars))
        return found

    quotes, trades, interest = (read(kind, "option", _archives(folders, trade_date, kind)) for kind in KINDS)
    stock: Asset = "index" if is_index else "equity"
    stock_folder = [Folder(data / stock / "usa" / "minute" / name.lower(), is_index)]
    stock_quotes = Levels.of(read("quote", stock, _archives(stock_folder, trade_date, "quote")))
    stock_trades = Levels.of(read("trade", stock, _archives(stock_folder, trade_date, "trade")))
    contracts = {contract for _, bars in (*quotes, *trades) for contract in bars.members if contract is not None}
    if not contracts:
        raise DataError("no contract in the archives", source=", ".join(source for source, _ in quotes))
    chain = Chain(name, trade_date, contracts)
    open_interest = _open_interest(chain, interest, refusals)
    day = Day(Table.of(chain, quotes, refusals), Table.of(chain, trades, refusals), stock_quotes, stock_trades)
    day.report_missing(name, refusals, is_index=is_index)
    return Tape(
        name=f"lean:{symbol}:{trade_date.isoformat()}",
        is_synthetic=False,
        underlying=name,
        hours=hours,
        total_steps=(hours.close_ns - hours.open_ns) // MINUTE_NS,
        contracts=chain.contracts,
        ticks=observed_ticks(chain.contracts, trade_date, partial(day.prices, chain), refusals, "lean"),
        steps=day.steps,
        open_interest=open_interest,
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

    @classmethod
    def of(cls, chain: Chain, archives: list[tuple[str, Bars]], refusals: Refusals) -> Table:
        """Put archives together. A bar that two of them hold is taken from the first, and counted."""
        if not archives:
            return cls(np.empty(0, np.int64), np.empty(0, np.int64), {})
        parts = [bars for _, bars in archives]
        contract = np.concatenate([_positions(chain, bars) for bars in parts])
        ts = np.concatenate([bars.ts for bars in parts]) + MINUTE_NS
        order = np.lexsort((contract, ts))
        again = np.zeros(len(order), np.bool_)
        again[1:] = (np.diff(ts[order]) == 0) & (np.diff(contract[order]) == 0)
        if again.any():
            rows = order[again]
            reason = "bar in two archives"
            refusals.add_rows(
                archives[-1][0], reason, ts[rows], lambda at: chain.contracts[int(contract[rows[at]])].osi
            )
            order = order[~again]
        columns = {name: np.concatenate([bars.columns[name] for bars in parts])[order] for name in parts[0].columns}
        return cls(ts[order], contract[order], columns)

    def rows(self, ts: int) -> slice:
        """Where the bars that closed at that instant stand."""
        return slice(int(np.searchsorted(self.ts, ts)), int(np.searchsorted(self.ts, ts, side="right")))


class Levels(NamedTuple):
    """Bars of the underlying, in time order."""

    ts: list[int]
    rows: list[tuple[int, ...]]

    @classmethod
    def of(cls, archives: list[tuple[str, Bars]]) -> Levels:
        """Take the first archive; a second one of the same day would be a copy."""
        if not archives:
            return cls([], [])
        bars = archives[0][1]
        columns = [bars.columns[name].tolist() for name in bars.columns]
        return cls((bars.ts + MINUTE_NS).tolist(), list(zip(*columns, strict=True)))


class Day:
    """The bars of a day, and the steps that they make."""

    def __init__(self, quotes: Table, trades: Table, stock_quotes: Levels, stock_trades: Levels) -> None:
        self._quotes = quotes
        self._trades = trades
        self._bars = {ts: StockBar(*row) for ts, row in zip(stock_trades.ts, stock_trades.rows, strict=True)}
        self._levels = {
            ts: StockQuote(bid, bid_size, ask, ask_size)
            for ts, (bid, ask, bid_size, ask_size) in zip(stock_quotes.ts, stock_quotes.rows, strict=True)
        }
        self._has_stock_quotes = bool(self._levels)
        if not self._levels:  # an index, or a stock of which only trades were recorded: a level, not a quote
            self._levels = {ts: StockQuote(bar.price, 0, bar.price, 0) for ts, bar in self._bars.items()}

    def report_missing(self, underlying: str, refusals: Refusals, *, is_index: bool) -> None:
        """Say what the recording lacks."""
        if not self._bars and not self._levels:
            refusals.add("lean", "no underlying", f"no minute bars of {underlying} in the session")
        elif not self._has_stock_quotes and not is_index:
            refusals.add("lean", "no underlying quotes", f"the last trade of each minute stands for {underlying}")

    def prices(self, chain: Chain, root: str) -> Units:
        """Return the quoted prices of a root, each once."""
        mine = np.array([contract.root == root for contract in chain.contracts])[self._quotes.contract]
        sides = [self._quotes.columns["bid"][mine], self._quotes.columns["ask"][mine]]
        seen: Units = np.unique(np.concatenate(sides))
        return seen

    def steps(self) -> Iterator[Step]:
        """Yield what became known at each minute."""
        quotes, trades = self._quotes, self._trades
        stamps = {*np.unique(quotes.ts).tolist(), *np.unique(trades.ts).tolist(), *self._bars, *self._levels}
        for ts in sorted(stamps):
            q, t = quotes.rows(ts), trades.rows(ts)
            nbbo = (
                [quotes.columns[name][q] for name in ("bid", "bid_size", "ask", "ask_size")] if q.stop > q.start else []
            )
            prints = (
                [trades.columns[name][t] for name in ("close", "low", "high", "volume")] if t.stop > t.start else []
            )
            yield Step(
                ts=ts,
                trades=TradeFrame(trades.contract[t], *prints) if prints else None,
                stock_bar=self._bars.get(ts),
                stock_quote=self._levels.get(ts),
                nbbo=NbboFrame(quotes.contract[q], *nbbo) if nbbo else None,
            )


def _open_interest(chain: Chain, archives: list[tuple[str, Bars]], refusals: Refusals) -> OpenInterestFrame:
    """Return open interest in dense-index order. That of contracts which nobody quoted is counted."""
    known = np.full(len(chain), -1, np.int64)
    for source, bars in archives:
        positions = _positions(chain, bars)
        for row in np.flatnonzero(positions < 0).tolist():
            contract = bars.members[int(bars.member[row])]
            refusals.add(source, "unknown contract", "" if contract is None else contract.osi, ts=int(bars.ts[row]))
        listed = positions >= 0
        known[positions[listed]] = bars.columns["open_interest"][listed]
    rows = np.flatnonzero(known >= 0)
    return OpenInterestFrame(rows, known[rows])


def _positions(chain: Chain, bars: Bars) -> Ints:
    """Return the dense index of each bar's contract, -1 where the chain does not list it."""
    index = {contract: position for position, contract in enumerate(chain.contracts)}
    lookup = [-1 if contract is None else index.get(contract, -1) for contract in bars.members]
    return np.array(lookup or [-1], dtype=np.int64)[bars.member]
