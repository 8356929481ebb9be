"""Start-of-day positions from a CSV file: `symbol,quantity[,price]`, one row per position, and `CASH` for cash.

`price` is the mark of the evening before, dollars per share. All positions have one, and the day's P&L starts from it;
or none has, and it starts from the first mark of the day: a book that came with some prices would show half of a gap.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Final

import numpy as np

from domain.chain import Chain
from domain.commands import STOCK
from domain.errors import InputError
from domain.events import PositionsImported
from domain.frames import PositionFrame

_MOST: Final = 1_000_000_000
"""Contracts or shares in one row; more is a slip of the keyboard."""


def no_positions(underlying: str) -> PositionsImported:
    """An empty book."""
    return PositionsImported(
        ts_event=0, ts_init=0, underlying=underlying, stock=0, stock_price=0.0, cash=0.0, frame=PositionFrame.empty()
    )


def read_positions(path: Path, chain: Chain) -> PositionsImported:
    """Read a file.

    Args:
        path: The file. `symbol` is an OSI symbol, the underlying's symbol, or CASH (then `quantity` is dollars). Rows
            of one position add up; their prices must agree.
        chain: What may be held.

    Raises:
        InputError: The file, a row or a symbol is wrong; the row number and the value are named.
    """
    try:
        reader = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())  # spreadsheets write a mark first
        rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError("positions cannot be read", field="positions", value=str(path), error=str(error)) from error
    missing = [name for name in ("symbol", "quantity") if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError("positions have no such column", field=missing[0], value=str(path))
    cash = 0.0
    held: dict[int, int] = {}
    prices: dict[int, float] = {}
    for number, row in rows:
        symbol, quantity = (row.get("symbol") or "").strip(), (row.get("quantity") or "").strip()
        try:
            if symbol == "CASH":
                cash += _finite(quantity)
                continue
            index = STOCK if symbol == chain.underlying else chain.index_of(symbol)
            held[index] = held.get(index, 0) + _whole(quantity)
            price = _price(row.get("price") or "0")
            if prices.setdefault(index, price) != price:
                raise InputError("another price of the same position", price=price, before=prices[index])
            if (price > 0) != (next(iter(prices.values())) > 0):
                raise InputError("price of some positions and not of all", price=price)
        except ValueError as error:
            raise InputError(
                "position is not a number", field=f"row {number}", value=str(error), symbol=symbol
            ) from error
        except InputError as error:
            raise InputError(error.message, field=f"row {number}", value=symbol) from error
    stock, stock_price = held.pop(STOCK, 0), prices.pop(STOCK, 0.0)
    contracts = sorted(held)
    is_priced = any(prices.values())
    frame = PositionFrame(
        contract=np.array(contracts, np.int32), quantity=np.array([held[index] for index in contracts], np.int64)
    )
    return PositionsImported(
        ts_event=0,
        ts_init=0,
        underlying=chain.underlying,
        stock=stock,
        stock_price=stock_price,
        cash=cash,
        frame=frame,
        option_prices=tuple(prices[index] for index in contracts) if is_priced else (),
    )


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) > _MOST:
        raise ValueError(text)
    return number


def _price(text: str) -> float:
    number = _finite(text)
    if number < 0:
        raise ValueError(text)
    return number


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
