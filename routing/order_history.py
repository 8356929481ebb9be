"""What a venue remembers of every order of the day, and how it answers when it is asked about one.

The history is read off the venue's own reports, so that it cannot differ from them. A question (FIX 35=H,
`RequestOrderStatus`) is answered as venues and drop copies do after a gap: first every execution of the order again,
under its first ExecID and flagged as a possible repeat (FIX tag 97), then one ORDER_STATUS report with status, CumQty,
LeavesQty and average price. Who asked counts executions by ExecID, so that a repeat books what was missed and nothing
else. An order that the venue never got is answered as FIX asks for it: ORDER_STATUS with OrdStatus REJECTED and the
reason in the text.

The repeats are stamped with the time of the answer: when it traded, the first report said.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

import msgspec

from domain.commands import RequestOrderStatus, Side
from domain.events import ExecType, ExecutionReported, OrdStatus
from routing.reports import Reports

UNKNOWN_ORDER: Final = "unknown order"
"""Text of the answer about an order that never arrived. FIX 4.4, ExecutionReport as a response to 35=H; tag 103 = 5."""


@dataclass(slots=True, kw_only=True)
class _Told:
    """What the venue last said of an order, and all its executions in their order. `clordid` is its name now."""

    clordid: str
    contract: int
    side: Side
    status: OrdStatus
    cum: int = 0
    leaves: int = 0
    text: str = ""
    executions: list[ExecutionReported] = field(default_factory=list)


class OrderHistory:
    """The orders of one venue, by every name that they had."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._orders: list[_Told] = []
        self._by_name: dict[str, int] = {}

    def note(self, report: ExecutionReported) -> None:
        """Follow a report of this venue about an order; a refused second use of a name is not about the first."""
        place = self._by_name.get(report.orig_clordid or report.clordid)
        if place is None:
            place = len(self._orders)
            self._orders.append(
                _Told(clordid=report.clordid, contract=report.contract, side=report.side, status=report.ord_status)
            )
        elif report.exec_type == ExecType.REJECTED:
            return
        told = self._orders[place]
        told.clordid = report.clordid if report.exec_type == ExecType.REPLACED else told.clordid
        told.status, told.cum, told.leaves = report.ord_status, report.cum_qty, report.leaves_qty
        told.text = report.text
        self._by_name[report.clordid] = place
        if report.exec_type == ExecType.TRADE:
            told.executions.append(report)

    def ended(self, clordid: str, status: OrdStatus, text: str) -> None:
        """An order ended and nobody was told."""
        told = self._orders[self._by_name[clordid]]
        told.status, told.leaves, told.text = status, 0, text

    def answer(self, request: RequestOrderStatus) -> list[ExecutionReported]:
        """Answer a question about an order: its executions once more, then its status."""
        place = self._by_name.get(request.clordid)
        if place is None:
            never = _Told(
                clordid=request.clordid,
                contract=request.contract,
                side=request.side,
                status=OrdStatus.REJECTED,
                text=UNKNOWN_ORDER,
            )
            return [self._status(never, request)]
        told = self._orders[place]
        stamps = self._reports.stamps
        again = [
            msgspec.structs.replace(execution, **stamps, status_id=request.status_id, is_possible_repeat=True)
            for execution in told.executions
        ]
        return [*again, self._status(told, request)]

    def _status(self, told: _Told, request: RequestOrderStatus) -> ExecutionReported:
        paid = sum(execution.last_qty * execution.last_px for execution in told.executions)
        traded = sum(execution.last_qty for execution in told.executions)
        report = self._reports.execution(
            exec_type=ExecType.ORDER_STATUS,
            status=told.status,
            contract=told.contract,
            side=told.side,
            cum=told.cum,
            leaves=told.leaves,
            clordid=told.clordid,
            orig_clordid=request.clordid if request.clordid != told.clordid else "",
            text=told.text,
        )
        return msgspec.structs.replace(report, status_id=request.status_id, avg_px=paid / traded if traded else 0.0)

    def state(self) -> dict[str, Any]:
        """Return all of it, for a snapshot."""
        rows = [
            asdict(told) | {"executions": [msgspec.structs.asdict(execution) for execution in told.executions]}
            for told in self._orders
        ]
        return {"orders": rows, "names": self._by_name}

    def take_over(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self._orders = [
            _Told(
                **{
                    **row,
                    "status": OrdStatus(row["status"]),
                    "executions": msgspec.convert(row["executions"], list[ExecutionReported]),
                }
            )
            for row in state["orders"]
        ]
        self._by_name = state["names"]
