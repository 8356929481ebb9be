"""Start-of-day positions from a CSV file: `symbol,quantity[,price]`, one row per position, and `CASH` for cash."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from domain.chain import Chain
from domain.errors import InputError
from domain.events import PositionsImported
from domain.frames import PositionFrame


def no_positions(underlying: str) -> PositionsImported:
    """An empty book."""
    return PositionsImported(
        ts_event=0, ts_init=0, underlying=underlying, stock=0, stock_price=0.0, cash=0.0, frame=PositionFrame.empty()
    )


def read_positions(path: Path, chain: Chain) -> PositionsImported:
    """Read a file.

    Args:
        path: The file. `symbol` is an OSI symbol, the underlying's symbol, or CASH (then `quantity` is dollars).
        chain: What may be held.

    Raises:
        InputError: The file, a row or a symbol is wrong; the row number and the value are named.
    """
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise InputError("positions cannot be read", field="positions", value=str(path), error=str(error)) from error
    stock, stock_price, cash = 0, 0.0, 0.0
    held: dict[int, int] = {}
    for number, row in enumerate(rows, start=2):
        symbol, quantity = (row.get("symbol") or "").strip(), (row.get("quantity") or "").strip()
        try:
            if symbol == "CASH":
                cash += float(quantity)
            elif symbol == chain.underlying:
                stock += int(quantity)
                stock_price = float(row.get("price") or 0.0)
            else:
                index = chain.index_of(symbol)
                held[index] = held.get(index, 0) + int(quantity)
        except ValueError as error:
            raise InputError(
                "position is not a number", field=f"row {number}", value=quantity, symbol=symbol
            ) from error
    contracts = sorted(held)
    frame = PositionFrame(
        contract=np.array(contracts, np.int32), quantity=np.array([held[index] for index in contracts], np.int64)
    )
    return PositionsImported(
        ts_event=0, ts_init=0, underlying=chain.underlying, stock=stock, stock_price=stock_price, cash=cash, frame=frame
    )
