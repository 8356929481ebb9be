"""What the topics of a run say when it has ended: fills against the venues' books, clearances against their numbers.

Everything is read from Kafka from the beginning, as a stranger would read it: lower epochs are dropped, what came twice
counts once, and what cannot be explained is a problem.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from domain import events as e
from domain.commands import STOCK
from domain.events import Clearance
from domain.ownership_events import OwnershipTaken
from routing.venues import SIMULATED
from streams.groups import GROUPS
from streams.messages import Arrived
from streams.ownership import Fence

CLEARED: Final = "orders.cleared"
TOPICS: Final = ("reference.chains", CLEARED, "orders.reports", "orders.fills", "risk.events")
ACTING: Final = frozenset(group.name for group in GROUPS.values() if group.effects == CLEARED)


@dataclass(slots=True)
class Account:
    """What is known of one underlying."""

    clearances: int = 0
    void: int = 0
    gaps: int = 0
    orders: dict[str, None] = field(default_factory=dict)
    doubled_orders: int = 0
    quote_entries: int = 0
    fills: dict[str, tuple[int, int]] = field(default_factory=dict)
    altered_fills: int = 0
    trades: dict[str, tuple[int, int]] = field(default_factory=dict)
    halted: list[str] = field(default_factory=list)
    has_ended: bool = False


class Audit:
    """Takes messages in the order of their partitions, and says what does not add up."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.rejected: Counter[str] = Counter()
        self._fences: dict[tuple[str, int], Fence] = {}
        self._sequences: dict[str, int] = {}
        self._names: dict[str, int] = {}
        self.takeovers: dict[str, int] = {}

    def take(self, arrived: Arrived) -> None:
        """Take one message."""
        event, headers = arrived.event, arrived.headers
        fence = self._fences.setdefault((arrived.topic, arrived.partition), Fence())
        if isinstance(event, OwnershipTaken):
            fence.raise_to(headers.group, arrived.offset)
            owner = f"{headers.group}.{arrived.partition}"
            self.takeovers[owner] = self.takeovers.get(owner, -1) + 1
            return
        if not event.underlying:
            return
        account = self.accounts.setdefault(event.underlying, Account())
        if arrived.topic == CLEARED and not (headers.group in ACTING and fence.admits(headers)):
            account.void += 1
            return
        name = f"{arrived.topic}|{arrived.partition}|{headers.source}"
        if headers.sequence <= self._names.get(name, -1):
            return  # published again by somebody who could not know that it had arrived
        self._names[name] = headers.sequence
        self._count(account, event)

    def _count(self, account: Account, event: e.Event) -> None:
        match event:
            case Clearance():
                self._cleared(account, event)
            case e.ExecutionReported(exec_type=e.ExecType.TRADE):
                change = event.last_qty if event.side == "buy" else -event.last_qty
                account.trades.setdefault(f"{event.venue}:{event.exec_id}", (event.contract, change))
            case e.OrderFilled():
                change = event.quantity if event.side == "buy" else -event.quantity
                before = account.fills.setdefault(event.fill_id, (event.contract, change))
                if before != (event.contract, change):
                    account.altered_fills += 1
            case e.RunEnded():
                account.has_ended = True
            case e.ShardHalted():
                account.halted.append(event.error)
            case e.EventRejected():
                self.rejected[f"{event.event}: {event.error}"[:160]] += 1
            case _:
                pass

    def _cleared(self, account: Account, clearance: Clearance) -> None:
        expected = self._sequences.get(clearance.gate, 0) + 1
        account.gaps += clearance.sequence != expected
        self._sequences[clearance.gate] = clearance.sequence
        account.clearances += 1
        if isinstance(clearance, e.OrderCleared):
            account.doubled_orders += clearance.order.clordid in account.orders
            account.orders[clearance.order.clordid] = None
        elif isinstance(clearance, e.QuotesCleared):
            account.quote_entries += len(clearance.frame)

    # --- the end ------------------------------------------------------------------------------------------------------
    def missing_fills(self, books: Mapping[str, Mapping[str, Any]]) -> int:
        """How many executions of the venues the desk has not counted."""
        return sum(len(_executed(books, name) - set(account.fills)) for name, account in self.accounts.items())

    def summary(self, books: Mapping[str, Mapping[str, Any]], *, is_whole: bool) -> dict[str, Any]:
        """What happened, by underlying, and the problems.

        Args:
            books: What each venue says that it holds, by MIC, then by underlying.
            is_whole: Whether the runs were to end.
        """
        problems = [f"{count} inputs refused: {what}" for what, count in self.rejected.items()]
        underlyings: dict[str, Any] = {}
        for name in sorted(self.accounts):
            account = self.accounts[name]
            ours, theirs = _sum(account.fills.values()), _held(books, name)
            executed = _executed(books, name)
            underlyings[name] = {
                "orders": len(account.orders),
                "fills": len(account.fills),
                "quote_entries": account.quote_entries,
                "clearances": account.clearances,
                "void_clearances": account.void,
                "stock": ours.get(STOCK, 0),
                "contracts_held": sum(1 for contract, held in ours.items() if held and contract != STOCK),
                "positions_equal": ours == theirs,
            }
            found = {
                "positions differ from the venues' books": ours != theirs,
                "executions were not counted": len(executed - set(account.fills)),
                "executions were not reported": len(executed - set(account.trades)),
                "fills are of no execution": len(set(account.fills) - executed),
                "fills came again with other terms": account.altered_fills,
                "orders were cleared twice": account.doubled_orders,
                "clearances are out of sequence": account.gaps,
                "nothing was cleared": is_whole and not account.clearances,
                "halted": len(account.halted),
                "the run has not ended": is_whole and not account.has_ended,
            }
            problems += [f"{name}: {what} ({int(how_many)})" for what, how_many in found.items() if how_many]
        return {"underlyings": underlyings, "takeovers": dict(sorted(self.takeovers.items())), "problems": problems}


def _sum(changes: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Net by contract, of pairs of contract and change."""
    held: Counter[int] = Counter()
    for contract, change in changes:
        held[contract] += change
    return {contract: net for contract, net in sorted(held.items()) if net}


def _held(books: Mapping[str, Mapping[str, Any]], underlying: str) -> dict[int, int]:
    """What the venues hold of us together, by contract, the stock among them."""
    pairs: list[tuple[int, int]] = []
    for book in books.values():
        found = book.get(underlying, {})
        pairs += [(int(contract), net) for contract, net in found.get("contracts", {}).items()]
        pairs.append((STOCK, found.get("stock", 0)))
    return _sum(pairs)


def _executed(books: Mapping[str, Mapping[str, Any]], underlying: str) -> set[str]:
    return {
        f"{venue.index}:{name}"  # as `OrderFilled.fill_id`
        for venue in SIMULATED
        for name in books.get(venue.mic, {}).get(underlying, {}).get("trades", ())
    }
