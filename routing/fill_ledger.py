"""Executions, each counted once: what repeats is known, what comes before what it amends waits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec

from domain.events import ExecType, ExecutionReported, FillBusted, FillCorrected, OrderFilled
from routing.order_records import Fill, Order
from routing.reports import stamps_of


class FillLedger:
    """Executions by identifier: venue index and ExecID, which is unique per venue and day."""

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}
        self._fills: dict[str, Fill] = {}
        self._fill_of: dict[str, str] = {}
        self._early: dict[str, list[ExecutionReported]] = {}

    def is_repeated(self, report: ExecutionReported) -> bool:
        """Whether a report with that identifier was believed before."""
        return _key(report) in self._seen

    def is_altered(self, report: ExecutionReported) -> bool:
        """Whether a repeated execution names other terms than the first time."""
        fill = self._fills.get(_key(report))
        return fill is not None and (report.last_qty, report.last_px) != (fill.first_quantity, fill.first_price)

    def is_busted(self, report: ExecutionReported) -> bool:
        """Whether a repeated execution was taken back in the meantime."""
        return self._fills[_key(report)].is_busted

    def average_price(self, clordid: str) -> float:
        """Average price of an order's executions as they stand, price units; 0 without one."""
        mine = [fill for fill in self._fills.values() if fill.clordid == clordid and not fill.is_busted]
        quantity = sum(fill.quantity for fill in mine)
        return sum(fill.quantity * fill.price for fill in mine) / quantity if quantity else 0.0

    def correct_repeated(self, report: ExecutionReported) -> tuple[FillCorrected, int]:
        """Take the terms of a repeated execution that the venue gave when it was asked: its later word holds.

        Returns:
            The correction, and by how much the quantity changes.
        """
        fill = self._fills[_key(report)]
        corrected = self._correct(report, _key(report), fill)
        fill.first_quantity, fill.first_price = report.last_qty, report.last_px
        return corrected, corrected.quantity - corrected.old_quantity

    def note(self, report: ExecutionReported) -> None:
        """Remember that a report was believed."""
        self._seen[_key(report)] = None

    def count(self, report: ExecutionReported, order: Order | None) -> OrderFilled:
        """Count an execution of an order, or of a quote where there is none."""
        key = _key(report)
        self._seen[key] = None
        self._fill_of[key] = key
        self._fills[key] = Fill(
            clordid=order.clordid if order else "",
            contract=report.contract,
            side=report.side,
            quantity=report.last_qty,
            price=report.last_px,
            fee=report.fee,
            first_quantity=report.last_qty,
            first_price=report.last_px,
        )
        return OrderFilled(
            **stamps_of(report),
            fill_id=key,
            venue=report.venue,
            clordid=order.clordid if order else "",
            is_quote=order is None,
            intent=order.intent if order else "quote",
            contract=report.contract,
            side=report.side,
            quantity=report.last_qty,
            price=report.last_px,
            fee=report.fee,
            adds_liquidity=report.adds_liquidity,
        )

    def amended_by(self, report: ExecutionReported) -> Fill | None:
        """Return the execution that a bust or correction is about, by its own identifier or that of a correction."""
        return self._fills.get(self._fill_of.get(f"{report.venue}:{report.exec_ref_id}", ""))

    def amend(self, report: ExecutionReported, fill: Fill) -> FillBusted | FillCorrected:
        """Take an execution back, or change its terms."""
        key = _key(report)
        fill_id = self._fill_of[f"{report.venue}:{report.exec_ref_id}"]
        self._seen[key] = None
        self._fill_of[key] = fill_id
        if report.exec_type == ExecType.TRADE_CANCEL:
            fill.is_busted = True
            return FillBusted(
                **stamps_of(report),
                fill_id=fill_id,
                contract=fill.contract,
                side=fill.side,
                quantity=fill.quantity,
                price=fill.price,
                fee=fill.fee,
            )
        return self._correct(report, fill_id, fill)

    @staticmethod
    def _correct(report: ExecutionReported, fill_id: str, fill: Fill) -> FillCorrected:
        corrected = FillCorrected(
            **stamps_of(report),
            fill_id=fill_id,
            contract=fill.contract,
            side=fill.side,
            old_quantity=fill.quantity,
            old_price=fill.price,
            quantity=report.last_qty,
            price=report.last_px,
        )
        fill.quantity, fill.price = report.last_qty, report.last_px
        return corrected

    def hold(self, report: ExecutionReported) -> None:
        """Keep an amendment until its execution comes."""
        self._seen[_key(report)] = None
        self._early.setdefault(f"{report.venue}:{report.exec_ref_id}", []).append(report)

    def held_for(self, report: ExecutionReported) -> list[ExecutionReported]:
        """Give up the amendments that waited for an execution."""
        return self._early.pop(_key(report), [])

    def state(self) -> dict[str, Any]:
        """Return all of it, for a snapshot."""
        return {
            "seen": list(self._seen),
            "fills": {key: asdict(fill) for key, fill in self._fills.items()},
            "fill_of": self._fill_of,
            "early": self._early,
        }

    def take_over(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self._seen = dict.fromkeys(state["seen"])
        self._fills = {key: Fill(**row) for key, row in state["fills"].items()}
        self._fill_of = state["fill_of"]
        self._early = msgspec.convert(state["early"], dict[str, list[ExecutionReported]])


def _key(report: ExecutionReported) -> str:
    return f"{report.venue}:{report.exec_id}"
