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
import pyarrow as pa

from domain.calendar import ny_ns
from domain.errors import DataError, InputError
from domain.instrument import OptionContract, Right, option
from domain.price import MAX_DOLLARS, PRICE_SCALE
from domain.roots_table import Style
from streams import csv_rows
from streams.recorded import Refusals

Ints = npt.NDArray[np.int64]
Kind = Literal["quote", "trade", "openinterest"]
Asset = Literal["option", "equity", "index"]

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

    def take(self, rows: npt.NDArray[Any]) -> Bars:
        """The bars of a mask or an index array."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        return Bars(self.members, self.member[rows], self.ts[rows], columns)


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


def decode(
    stream: BinaryIO,
    kind: Kind,
    *,
    asset: Asset,
    source: str,
    underlying: str,
    trade_date: dt.date,
    refusals: Refusals,
) -> Bars:
    """Decode an archive.

    Args:
        stream: The zip, seekable.
        kind: Which columns its members have.
        asset: Whose bars: of option contracts, or of the underlying. Those of an index are in points and Central time.
        source: Name of the archive for messages.
        underlying: Symbol that its contracts must have.
        trade_date: Day that its members must have.
        refusals: Counts the rows that are left out, and why.

    Returns:
        The bars that are sound in themselves; whether they lie in the session is not judged.

    Raises:
        DataError: It is no zip, is cut off, or a member fails its checksum.
    """
    is_index = asset == "index"
    blobs, members, index = _members(stream, asset, source, (underlying, trade_date), refusals)
    prices, sizes = _PRICES[kind], _SIZES[kind]
    price_type = pa.float64() if is_index else pa.int64()
    types = {"ms": pa.int64()} | dict.fromkeys(prices, price_type) | dict.fromkeys(sizes, pa.int64())
    first_line = np.concatenate([[0], np.cumsum([csv_rows.count_lines(blob) for _, blob in blobs], dtype=np.int64)])
    text = b"".join(blob if blob.endswith(b"\n") or not blob else blob + b"\n" for _, blob in blobs)
    rows = csv_rows.parse(text, _COLUMNS[kind], types, optional=prices if kind == "quote" else ())
    del text

    def example(line: int) -> str:
        at = int(np.searchsorted(first_line, line, side="right")) - 1
        name, blob = blobs[at]
        return f"{name} line {line - int(first_line[at]) + 1}: {csv_rows.line_at(blob, line - int(first_line[at]))}"

    for bad in rows.bad:
        refusals.add(source, bad.reason, example(bad.line))

    blob_of = np.searchsorted(first_line, rows.line, side="right") - 1
    values = {name: _units(rows.columns[name], is_index=is_index) for name in prices}
    values |= {name: rows.columns[name] for name in sizes}
    ms = rows.columns["ms"] + (_CENTRAL_LAG_MS if is_index else 0)
    inside = (ms >= 0) & (ms < _DAY_MS)
    ts = ny_ns(trade_date) + np.where(inside, ms, 0) * _MS
    bars = Bars(members, np.asarray(index, dtype=np.int64)[blob_of], ts, values)
    line = rows.line

    def refuse(good: npt.NDArray[np.bool_], reason: str) -> None:
        nonlocal bars, line
        if not good.all():
            lost = line[~good]
            refusals.add_rows(source, reason, bars.ts[~good], lambda at: example(int(lost[at])))
            bars, line = bars.take(good), line[good]

    good = np.ones(len(line), np.bool_)
    for name in (*prices, *sizes):
        good &= values[name] >= (1 if kind == "trade" and name in prices else 0)
    refuse(inside, "stamp outside the day")
    refuse(good[inside], "price not positive or volume negative" if kind == "trade" else "negative price or size")
    in_range = np.ones(len(line), np.bool_)
    for name in (*prices, *sizes):
        in_range &= bars.columns[name] <= (_MAX_UNITS if name in prices else _MAX_SIZE)
    refuse(in_range, "price or size out of range")
    refuse(_moves_on(bars.member, bars.ts), "clock did not move on")
    return bars


def _members(
    stream: BinaryIO, asset: Asset, source: str, day: tuple[str, dt.date], refusals: Refusals
) -> tuple[list[tuple[str, bytes]], tuple[OptionContract | None, ...], list[int]]:
    """Return the members of the day (name, content), the distinct contracts, and which one each member is of."""
    underlying, trade_date = day
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
                if member.date != trade_date:
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


def _moves_on(member: Ints, ts: Ints) -> npt.NDArray[np.bool_]:
    """Whether each row is later than all earlier ones of its member. Both shape (n,)."""
    if not len(ts):
        return np.ones(0, np.bool_)
    since = ts - ts.min()
    span = int(since.max()) + 1
    order = np.argsort(member, kind="stable")  # a contract may be spread over several members
    key = member[order] * span + since[order]
    before = np.maximum.accumulate(np.concatenate([member[order[:1]] * span - 1, key[:-1]]))
    result = np.empty(len(ts), np.bool_)
    result[order] = key > before
    return result
