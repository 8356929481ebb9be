"""LEAN minute archives: one zip per day and kind, one member per contract, decoded to bars.

Sans I/O: an open binary stream in, bars out. A bar is stamped with its start and known at its end, one minute later.

Source of the formats: the readme of LEAN's data folder, and recorded files.
"""

from __future__ import annotations

import datetime as dt
import re
import zipfile
import zlib
from typing import Any, BinaryIO, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.calendar import ny_ns
from domain.errors import DataError, InputError
from domain.instrument import OptionContract, Right, option
from domain.price import MAX_DOLLARS, PRICE_SCALE
from domain.roots_table import Style
from streams import csv_rows
from streams.recorded import LISTED_BEFORE_OPEN_NS
from streams.refusals import MINUTE_NS, Refusals, Sieve

Ints = npt.NDArray[np.int64]
Kind = Literal["quote", "trade", "openinterest"]
Asset = Literal["option", "equity", "index"]

KINDS: Final[tuple[Kind, ...]] = ("quote", "trade", "openinterest")

MAX_ARCHIVE_BYTES: Final = 2 << 30
"""Unpacked size above which an archive is refused: a day of one chain is some tens of megabytes."""

_MS: Final = 1_000_000
_DAY_MS: Final = 86_400_000
_CENTRAL_LAG_MS: Final = 3_600_000
"""Index bars carry Central time, an hour behind New York all year."""

_MAX_UNITS: Final = int(MAX_DOLLARS) * PRICE_SCALE
_MAX_SIZE: Final = 2**31 - 1

_COLUMNS: Final[dict[Kind, tuple[str, ...]]] = {
    "quote": (
        *("ms", "bid_open", "bid_high", "bid_low", "bid", "bid_size"),
        *("ask_open", "ask_high", "ask_low", "ask", "ask_size"),
    ),
    "trade": ("ms", "open", "high", "low", "close", "volume"),
    "openinterest": ("ms", "open_interest"),
}
_PRICES: Final[dict[Kind, tuple[str, ...]]] = {
    "quote": ("bid", "ask"),
    "trade": ("close", "low", "high"),
    "openinterest": (),
}
_SIZES: Final[dict[Kind, tuple[str, ...]]] = {
    "quote": ("bid_size", "ask_size"),
    "trade": ("volume",),
    "openinterest": ("open_interest",),
}
_MEMBER: Final = re.compile(
    r"(?P<date>[0-9]{8})_(?P<symbol>[a-z0-9.]+)_minute_(?P<kind>quote|trade|openinterest)"
    r"(?:_(?P<style>american|european)_(?P<right>call|put)_(?P<strike>[0-9]{1,12})_(?P<expiry>[0-9]{8}))?\.csv",
    re.ASCII,
)


class Member(NamedTuple):
    """What the name of a member says. `contract` is None for the underlying itself."""

    date: dt.date
    contract: OptionContract | None


class Bars(NamedTuple):
    """Bars of one archive, member by member, each in time order.

    Attributes:
        members: Distinct contracts (or the underlying) of the archive.
        member: Position in `members` of each bar, int64, shape (n,).
        ts: Start of each bar, ns since the epoch, int64, shape (n,).
        columns: Price columns in units (0 where a side is absent) and size columns, int64, shape (n,).
    """

    members: tuple[OptionContract | None, ...]
    member: Ints
    ts: Ints
    columns: dict[str, Ints]


# --- Decoding ---------------------------------------------------------------------------------------------------------


def member_of(name: str, underlying: str) -> Member:
    """Read the name of a member, such as `20151224_goog_minute_quote_american_call_7500000_20160115.csv`.

    Raises:
        DataError: The name is not of that form, or what it says is no contract of the underlying.
    """
    match = _MEMBER.fullmatch(name)
    if match is None:
        raise DataError("member name is not that of a minute file", member=name)
    try:
        date = dt.datetime.strptime(match["date"], "%Y%m%d").date()  # noqa: DTZ007 - a date has no zone
        if match["strike"] is None:
            return Member(date, None)
        strike, rest = divmod(int(match["strike"]), 10)
        if rest:
            raise DataError("strike is finer than a thousandth of a dollar", member=name)
        expiry = dt.datetime.strptime(match["expiry"], "%Y%m%d").date()  # noqa: DTZ007
        root = match["symbol"].replace(".", "").upper()
        right: Right = "C" if match["right"] == "call" else "P"
        style: Style = "american" if match["style"] == "american" else "european"
        contract = option(root, expiry, strike, right, style=style)
    except (InputError, ValueError) as e:
        raise DataError("member name is no contract", member=name, reason=str(e)) from e
    if contract.underlying != underlying:
        if contract.root != underlying.replace(".", ""):
            raise DataError("member is of another underlying", member=name, expected=underlying)
        contract = option(root, expiry, strike, right, style=style, underlying=underlying)
    return Member(date, contract)


def decode(stream: BinaryIO, kind: Kind, asset: Asset, *, source: str, underlying: str, refusals: Refusals) -> Bars:
    """Decode an archive.

    Args:
        stream: The zip, seekable.
        kind: Which columns its members have.
        asset: Whose bars: of option contracts, or of the underlying. Those of an index are in points and Central time.
        source: Name of the archive for messages.
        underlying: Symbol that its contracts must have.
        refusals: Names the session, and counts the rows that are left out.

    Returns:
        The sound bars that start and end inside the session, or the open interest that was out before it.

    Raises:
        DataError: It is no zip, is cut off, or a member fails its checksum.
    """
    hours, is_index = refusals.hours, asset == "index"
    blobs, members, index = _members(stream, asset, source, underlying, refusals)
    prices, sizes = _PRICES[kind], _SIZES[kind]
    price_type = csv_rows.DECIMAL if is_index else csv_rows.INTEGER
    types = {"ms": csv_rows.INTEGER} | dict.fromkeys(prices, price_type) | dict.fromkeys(sizes, csv_rows.INTEGER)
    first_line = np.concatenate([[0], np.cumsum([csv_rows.count_lines(blob) for _, blob in blobs], dtype=np.int64)])
    text = b"".join(blob if blob.endswith(b"\n") or not blob else blob + b"\n" for _, blob in blobs)
    rows = csv_rows.parse(text, _COLUMNS[kind], types, optional=prices if kind == "quote" else ())
    del text

    def example(line: int, text: str | None = None) -> str:
        at = int(np.searchsorted(first_line, line, side="right")) - 1
        name, blob = blobs[at]
        number = line - int(first_line[at])
        return f"{name} line {number + 1}: {csv_rows.line_at(blob, number) if text is None else text}"

    for bad in rows.bad:
        refusals.add(source, bad.reason, example(bad.line, bad.text))
    ms = rows.columns["ms"] + (_CENTRAL_LAG_MS if is_index else 0)
    in_day = (ms >= 0) & (ms < _DAY_MS)
    blob_of = np.searchsorted(first_line, rows.line, side="right") - 1
    sieve = Sieve(
        {name: _units(rows.columns[name], is_index=is_index) for name in prices}
        | {name: rows.columns[name] for name in sizes}
        | {
            "ts": ny_ns(hours.date) + np.where(in_day, ms, 0) * _MS,
            "member": np.asarray(index, dtype=np.int64)[blob_of],
            "line": rows.line,
        },
        refusals,
        source,
        example,
    )
    sieve.keep(in_day, "stamp outside the day")
    for name in prices:
        if kind == "trade":
            sieve.keep(sieve.columns[name] > 0, "price not positive")
        sieve.keep(sieve.columns[name] >= 0, "negative price")
        sieve.keep(sieve.columns[name] <= _MAX_UNITS, "price above a million dollars")
    for name in sizes:
        sieve.keep(sieve.columns[name] >= 0, "negative size")
        sieve.keep(sieve.columns[name] <= _MAX_SIZE, "size out of range")
    sieve.keep_moving("member", strictly=True)
    if kind == "openinterest":
        sieve.keep(sieve.columns["ts"] <= hours.open_ns - LISTED_BEFORE_OPEN_NS, "open interest after the listing")
    else:
        sieve.keep_inside(hours, MINUTE_NS)
    if kind == "quote":
        sieve.close_sides()
        sieve.note_crossed()
    c = sieve.columns
    return Bars(members, c["member"], c["ts"], {name: c[name] for name in (*prices, *sizes)})


def _members(
    stream: BinaryIO, asset: Asset, source: str, underlying: str, refusals: Refusals
) -> tuple[list[tuple[str, bytes]], tuple[OptionContract | None, ...], list[int]]:
    """Return the members of the day (name, content), the distinct contracts, and which one each member is of."""
    blobs: list[tuple[str, bytes]] = []
    index: list[int] = []
    seen: dict[OptionContract | None, int] = {}
    try:
        with zipfile.ZipFile(stream) as bundle:
            infos = [info for info in bundle.infolist() if not info.is_dir()]
            if sum(info.file_size for info in infos) > MAX_ARCHIVE_BYTES:
                raise DataError("archive unpacks to more than 2 GiB", source=source)
            for info in infos:
                blob = bundle.read(info)
                try:
                    member = member_of(info.filename, underlying)
                    if (member.contract is None) == (asset == "option"):
                        raise DataError("member is not of that class", member=info.filename, expected=asset)
                except DataError as e:
                    refusals.add(source, "unknown contract", str(e), count=max(csv_rows.count_lines(blob), 1))
                    continue
                if member.date != refusals.hours.date:
                    count = max(csv_rows.count_lines(blob), 1)
                    refusals.add(source, "member of another day", info.filename, count=count)
                    continue
                blobs.append((info.filename, blob))
                index.append(seen.setdefault(member.contract, len(seen)))
    except (zipfile.BadZipFile, EOFError, zlib.error) as e:
        raise DataError("archive is no zip, or is cut off or damaged", source=source, reason=str(e)) from e
    except (RuntimeError, NotImplementedError, ValueError, OSError, OverflowError, MemoryError) as e:
        raise DataError("archive cannot be unpacked", source=source, reason=str(e)) from e
    return blobs, tuple(seen), index


def _units(values: npt.NDArray[Any], *, is_index: bool) -> Ints:
    """Return prices in units. A value that is no price becomes -1."""
    if not is_index:
        return np.asarray(values, dtype=np.int64)
    sound = np.isfinite(values) & (values >= 0)
    capped = np.where(sound, np.minimum(values, 2 * MAX_DOLLARS), 0.0)
    return np.where(sound, np.rint(capped * PRICE_SCALE).astype(np.int64), -1)
