"""Flat files of Massive (Polygon): CSV, plain or gzip, decoded block by block in bounded memory.

Sans I/O: an open binary stream in, checked columns out. Columns are found by their names in the header. Times are ns
since the epoch, prices decimal dollars (0 or nothing: no such side), sizes decimal text that must be whole numbers.
"""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from domain.errors import DataError, InputError
from domain.instrument import OptionContract, parse_osi
from domain.price import MAX_DOLLARS, PRICE_SCALE
from streams import csv_rows
from streams.csv_rows import DECIMAL, INTEGER, TEXT
from streams.refusals import MINUTE_NS, Refusals, Sieve

BLOCK_BYTES: Final = 4 << 20
"""Text that is decoded at once."""

MAX_LINE_BYTES: Final = 1 << 16
"""A line above this is no record: the file is not what it says."""

_PIECE_BYTES: Final = 4 << 10
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP: Final = 16 + zlib.MAX_WBITS
_MAX_SIZE: Final = 2**31 - 1
_GRID_NOISE: Final = 1e-4
_OPTION_TICKER: Final = re.compile(r"O:[A-Z]{1,6}[0-9]?[0-9]{6}[CP][0-9]{8}", re.ASCII)

OTHER: Final = -1
"""Code of a ticker that belongs to another underlying."""

UNKNOWN: Final = -2
"""Code of a ticker that names nothing."""


class Layout(NamedTuple):
    """The columns that a kind of file must have and those that are read from it.

    Attributes:
        types: Required columns.
        time: The one that holds the time of a row.
        prices: Column in the file to column in the result, the same for `sizes`.
        optional: Columns whose field may be empty.
        if_present: Columns that are read where the file has them.
    """

    types: dict[str, pa.DataType]
    time: str
    prices: dict[str, str]
    sizes: dict[str, str]
    optional: tuple[str, ...] = ()
    if_present: tuple[str, ...] = ()


QUOTES: Final = Layout(
    types={
        "ticker": TEXT,
        "sip_timestamp": INTEGER,
        "bid_price": DECIMAL,
        "bid_size": DECIMAL,
        "ask_price": DECIMAL,
        "ask_size": DECIMAL,
    },
    time="sip_timestamp",
    prices={"bid_price": "bid", "ask_price": "ask"},
    sizes={"bid_size": "bid_size", "ask_size": "ask_size"},
    optional=("bid_price", "bid_size", "ask_price", "ask_size"),
)
TRADES: Final = Layout(
    types={"ticker": TEXT, "sip_timestamp": INTEGER, "price": DECIMAL, "size": DECIMAL},
    time="sip_timestamp",
    prices={"price": "price"},
    sizes={"size": "volume"},
    if_present=("correction",),
)
MINUTES: Final = Layout(
    types={
        "ticker": TEXT,
        "window_start": INTEGER,
        "close": DECIMAL,
        "low": DECIMAL,
        "high": DECIMAL,
        "volume": DECIMAL,
    },
    time="window_start",
    prices={"close": "price", "low": "low", "high": "high"},
    sizes={"volume": "volume"},
)


class Tickers:
    """Gives each ticker a code: contracts of one underlying from 0 as they appear, the rest OTHER or UNKNOWN."""

    def __init__(self, underlying: str, roots: frozenset[str]) -> None:
        self._underlying = underlying
        self._prefixes = tuple(sorted(f"O:{root}" for root in roots))
        self._codes: dict[str, int] = {}
        self.contracts: list[OptionContract] = []

    def code(self, ticker: str) -> int:
        """Return the code of a ticker."""
        known = self._codes.get(ticker)
        if known is not None:
            return known
        if _OPTION_TICKER.fullmatch(ticker) is None:
            return UNKNOWN
        if not ticker.startswith(self._prefixes):
            return OTHER
        try:
            contract = parse_osi(ticker)
        except InputError:
            return UNKNOWN
        if contract.underlying != self._underlying:
            return OTHER
        self._codes[ticker] = code = len(self.contracts)
        self.contracts.append(contract)
        return code


class StockTicker(NamedTuple):
    """Gives the underlying's own ticker code 0 and all others OTHER."""

    symbol: str

    def code(self, ticker: str) -> int:
        """Return the code of a ticker."""
        return 0 if ticker == self.symbol else OTHER


# --- Bytes to lines ---------------------------------------------------------------------------------------------------


class Block(NamedTuple):
    """Whole lines of a file, and how many lines stand before them."""

    text: bytes
    first_line: int


class TextBlocks:
    """The lines of a file, plain or gzip, block by block.

    Attributes:
        fault: What was wrong with the file, known when the last block was taken; None where nothing was.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.fault: str | None = None

    def __iter__(self) -> Iterator[Block]:
        """Yield every whole line that can be had, also of a damaged file."""
        rest, line = b"", 0
        for chunk in self._chunks():
            cut = chunk.rfind(b"\n") + 1
            if not cut and len(rest) + len(chunk) > MAX_LINE_BYTES:
                self.fault = f"damaged: line {line + 1} is longer than {MAX_LINE_BYTES} bytes"
                return
            if cut:
                text = rest + chunk[:cut]
                yield Block(text, line)
                line += text.count(b"\n")
                rest = b""
            rest += chunk[cut:]
        if rest and self.fault is None:
            yield Block(rest, line)
        elif rest:
            shown = rest[: csv_rows.EXAMPLE_WIDTH].decode("ascii", "backslashreplace")
            self.fault = f"{self.fault}; cut line {line + 1}: {shown}"

    def _chunks(self) -> Iterator[bytes]:
        head = self._stream.read(len(_GZIP_MAGIC))
        if head == _GZIP_MAGIC:
            yield from self._gathered(self._unpacked(head))
            return
        while head:
            yield head
            head = self._stream.read(BLOCK_BYTES)

    @staticmethod
    def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
        parts: list[bytes] = []
        size = 0
        for piece in pieces:
            parts.append(piece)
            size += len(piece)
            if size >= BLOCK_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
        yield b"".join(parts)

    def _unpacked(self, raw: bytes) -> Iterator[bytes]:
        """Yield the content of gzip, in small pieces: what fails takes the rest of its piece with it."""
        unpacker = zlib.decompressobj(_GZIP)
        try:
            while True:
                piece = unpacker.decompress(raw, BLOCK_BYTES)
                yield piece
                if unpacker.eof:  # gzip files may be concatenated, and padded with zeros
                    raw = (unpacker.unused_data or self._stream.read(_PIECE_BYTES)).lstrip(b"\0")
                    if not raw:
                        return
                    unpacker = zlib.decompressobj(_GZIP)
                    continue
                raw = unpacker.unconsumed_tail
                if not raw and len(piece) < BLOCK_BYTES:  # a full piece may leave more inside
                    raw = self._stream.read(_PIECE_BYTES)
                    if not raw:
                        self.fault = "truncated: the gzip stream has no end"
                        return
        except zlib.error as e:
            self.fault = f"damaged: {e}"


# --- Lines to columns -------------------------------------------------------------------------------------------------


def decode(
    stream: BinaryIO, layout: Layout, tickers: Tickers | StockTicker, *, source: str, refusals: Refusals
) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """Decode a file.

    Args:
        stream: CSV with a header, plain or gzip.
        layout: Which kind of file.
        tickers: Chooses the rows: those of other tickers are passed over.
        source: Name of the file for messages.
        refusals: Names the session, and counts the rows that are left out. A file that ends too early, or is damaged
            further on, is counted after its rows.

    Yields:
        Columns of equal length in the order of the file, int64: `ts`, `contract` (code of the ticker), those that the
        layout names. Prices in units, 0 where there is no side. Rows lie in the session.

    Raises:
        DataError: The file has no header, or a column is missing.
    """
    blocks = TextBlocks(stream)
    names: list[str] = []
    state = _Progress(refusals.hours.open_ns)
    for block in blocks:
        text, first_line = block
        if not names:
            head, _, text = text.partition(b"\n")
            first_line += 1
            names = _header(head, layout, source)
        columns = _decode_block(Block(text, first_line), names, layout, tickers, (source, refusals, state))
        if len(columns["ts"]):
            yield columns
    if not names:
        raise DataError("file has no header", source=source, reason=blocks.fault or "it is empty")
    if blocks.fault is not None:
        what, _, detail = blocks.fault.partition(": ")
        refusals.add(source, what, f"{detail}, after {state.rows} rows", ts=state.ts)


class _Progress:
    """How far a file was read: rows, the time of the last one, and the last time of each contract."""

    def __init__(self, ts: int) -> None:
        self.rows = 0
        self.ts = ts
        self.latest: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def latest_of(self, contract: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the last time of each row's contract, shape (n,)."""
        need = int(contract.max(initial=-1)) + 1 - len(self.latest)
        if need > 0:
            self.latest = np.concatenate([self.latest, np.zeros(need + len(self.latest), np.int64)])
        return self.latest[contract]


def _header(line: bytes, layout: Layout, source: str) -> list[str]:
    try:
        text = line.decode("utf-8-sig").strip()
        names = [name.strip() for name in next(csv.reader([text]), [])]
    except (UnicodeDecodeError, csv.Error) as e:
        raise DataError("file has no header", source=source, reason=str(e)) from e
    for name in layout.types:
        if names.count(name) != 1:
            shown = text[: csv_rows.EXAMPLE_WIDTH]
            raise DataError("column is missing or doubled", source=source, column=name, header=shown)
    return names


def _decode_block(
    block: Block,
    names: list[str],
    layout: Layout,
    tickers: Tickers | StockTicker,
    context: tuple[str, Refusals, _Progress],
) -> dict[str, npt.NDArray[Any]]:
    source, refusals, state = context
    extra = [name for name in layout.if_present if names.count(name) == 1]
    types = layout.types | dict.fromkeys(extra, INTEGER)
    # Column names are the file's own; those that repeat are not read, but must differ for the parser.
    unique = [name if names.index(name) == at else f"{name}\n{at}" for at, name in enumerate(names)]
    rows = csv_rows.parse(block.text, unique, types, optional=(*layout.optional, *extra))

    def example(line: int) -> str:
        return f"line {block.first_line + line + 1}: {csv_rows.line_at(block.text, line)}"

    ts = rows.columns[layout.time]
    for bad in rows.bad:
        before = int(np.searchsorted(rows.line, bad.line)) - 1
        refusals.add(
            source,
            bad.reason,
            f"line {block.first_line + bad.line + 1}: {bad.text}",
            ts=int(ts[before]) if before >= 0 else state.ts,
        )
    state.rows += len(ts)
    if len(ts):
        state.ts = int(ts[-1])
    codes = np.array([tickers.code(ticker) for ticker in rows.labels["ticker"]] or [OTHER], dtype=np.int64)
    columns = {layout.prices.get(name, layout.sizes.get(name, name)): rows.columns[name] for name in types}
    columns |= {"ts": ts, "contract": codes[rows.columns["ticker"]], "line": rows.line}
    sieve = Sieve(columns, refusals, source, example)
    sieve.select(sieve.columns["contract"] != OTHER)
    sieve.keep(sieve.columns["contract"] != UNKNOWN, "unknown contract")
    for name in extra:
        sieve.keep(sieve.columns[name] == 0, "corrected or cancelled print")
    _check_values(sieve, layout)
    sieve.keep_inside(refusals.hours, MINUTE_NS if layout is MINUTES else 1)
    contract = sieve.columns["contract"]
    sieve.keep(sieve.columns["ts"] >= state.latest_of(contract), "clock ran backwards")
    sieve.keep_moving("contract", strictly=False)
    np.maximum.at(state.latest, sieve.columns["contract"], sieve.columns["ts"])
    if layout is QUOTES:
        sieve.close_sides()
        sieve.note_crossed()
    return sieve.columns


def _check_values(sieve: Sieve, layout: Layout) -> None:
    """Check prices and sizes, and make them integers."""
    is_quote = layout is QUOTES
    for name in layout.prices.values():
        sieve.keep(np.isfinite(sieve.columns[name]), csv_rows.NOT_A_NUMBER)
        sieve.keep(sieve.columns[name] >= 0, "negative price")
        sieve.keep(sieve.columns[name] <= MAX_DOLLARS, "price above a million dollars")
        if not is_quote:
            sieve.keep(sieve.columns[name] > 0, "price not positive")
        units = np.rint(sieve.columns[name] * PRICE_SCALE)
        if layout is not MINUTES:  # bars of stocks hold prints finer than a unit: they are rounded
            sieve.keep(np.abs(sieve.columns[name] * PRICE_SCALE - units) <= _GRID_NOISE, "price finer than a unit")
            units = np.rint(sieve.columns[name] * PRICE_SCALE)
        sieve.columns[name] = units.astype(np.int64)
    for name in layout.sizes.values():
        sieve.keep(np.isfinite(sieve.columns[name]), csv_rows.NOT_A_NUMBER)
        sieve.keep(sieve.columns[name] >= 0, "negative size")
        sieve.keep(sieve.columns[name] <= _MAX_SIZE, "size out of range")
        if layout is not MINUTES:  # volumes of stocks hold fractions of shares since 2026: they are rounded
            sieve.keep(sieve.columns[name] == np.rint(sieve.columns[name]), "size is not a whole number")
        sieve.columns[name] = np.rint(sieve.columns[name]).astype(np.int64)
