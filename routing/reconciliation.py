"""Which orders a venue is being asked about, and when it is asked again.

A question goes out at once and again with a doubling pause while the order is not settled; after a stated number of
tries it is given up, and the order stays as it is. A venue that is down is not asked; when it is up again every order
there that is not settled is asked about anew. Asking places nothing: an order is never resent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import msgspec

from domain.errors import InputError
from routing.order_records import Order

NEVER: Final = 1 << 62
_MS: Final = 1_000_000


class OrderBookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When silence becomes an unknown outcome, and how a venue is asked about it.

    Attributes:
        ack_timeout_ms: An order, cancel or replacement without an answer for so long has an unknown outcome.
        status_retry_ms: Wait for the answer to the first question; it doubles with every further one.
        max_status_retry_ms: Longest wait.
        max_status_tries: Questions about one order before it is left to people.

    Raises:
        InputError: A value is not positive, or the longest wait is shorter than the first.
    """

    ack_timeout_ms: int = 5_000
    status_retry_ms: int = 1_000
    max_status_retry_ms: int = 30_000
    max_status_tries: int = 8

    def __post_init__(self) -> None:
        """Refuse a timeout that has passed before the order left."""
        for name in ("ack_timeout_ms", "status_retry_ms", "max_status_tries"):
            if getattr(self, name) < 1:
                raise InputError("must be positive", field=f"orders.{name}", value=getattr(self, name))
        if self.max_status_retry_ms < self.status_retry_ms:
            raise InputError(
                "must be at least status_retry_ms", field="orders.max_status_retry_ms", value=self.max_status_retry_ms
            )


@dataclass(slots=True, kw_only=True)
class Question:
    """An order that is not settled. `due` is when to ask again, ns; `tries` counts the questions since it arose."""

    clordid: str
    venue: int
    tries: int = 0
    due: int = 0


class Questions:
    """The orders that venues are asked about, in the order in which doubt arose."""

    def __init__(self, settings: OrderBookSettings) -> None:
        self._settings = settings
        self._open: dict[str, Question] = {}
        self._given_up: dict[str, Question] = {}
        self._asked: dict[str, int] = {}
        self._down: dict[int, None] = {}
        self._next = NEVER

    def __contains__(self, clordid: str) -> bool:
        return clordid in self._open

    def __iter__(self) -> Iterator[Question]:
        return iter(self._open.values())

    def is_due(self, ts: int) -> bool:
        """Whether `due` has something at that time."""
        return self._next <= ts

    def open(self, order: Order) -> Question | None:
        """Doubt arose about an order.

        Returns:
            The question to ask now; None while one is open or the venue is down.
        """
        if order.clordid in self._open:
            return None
        self._given_up.pop(order.clordid, None)
        question = self._open[order.clordid] = Question(clordid=order.clordid, venue=order.venue, due=NEVER)
        return None if order.venue in self._down else question

    def reopen(self, order: Order) -> Question | None:
        """Begin anew with an order, whatever was asked before; as `open`."""
        self._open.pop(order.clordid, None)
        return self.open(order)

    def asked(self, question: Question, ts: int) -> str:
        """A question goes out now; return its name, which is never used twice."""
        settings = self._settings
        wait = min(settings.status_retry_ms << min(question.tries, 30), settings.max_status_retry_ms)
        question.tries += 1
        question.due = ts + wait * _MS
        self._plan()
        count = self._asked[question.clordid] = self._asked.get(question.clordid, 0) + 1
        return f"{question.clordid}-S{count}"

    def due(self, ts: int) -> Iterator[tuple[Question, bool]]:
        """Yield what has waited long enough, and whether it is to be given up: that one is closed already."""
        for question in [each for each in self if each.due <= ts]:
            is_over = question.tries >= self._settings.max_status_tries
            if is_over:
                self.give_up(question)
            yield question, is_over

    def give_up(self, question: Question) -> None:
        """Stop asking, unsettled."""
        self._given_up[question.clordid] = self._open.pop(question.clordid)
        self._plan()

    def settle(self, clordid: str) -> Question | None:
        """Stop asking about an order that is settled; return the question that was open or given up, if any."""
        question = self._open.pop(clordid, None) or self._given_up.pop(clordid, None)
        self._plan()
        return question

    def suspend(self, venue: int) -> None:
        """A venue went down: it is not asked."""
        self._down[venue] = None
        for question in self:
            if question.venue == venue:
                question.due = NEVER
        self._plan()

    def resume(self, venue: int) -> None:
        """A venue is up again: questions about its orders begin anew."""
        self._down.pop(venue, None)
        for question in [each for each in self if each.venue == venue]:
            del self._open[question.clordid]
        self._plan()

    def _plan(self) -> None:
        self._next = min((question.due for question in self), default=NEVER)

    def state(self) -> dict[str, Any]:
        """Return all of it, for a snapshot."""
        given_up = [asdict(each) for each in self._given_up.values()]
        open_ = [asdict(each) for each in self]
        return {"open": open_, "given_up": given_up, "asked": self._asked, "down": list(self._down)}

    def take_over(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self._open = {row["clordid"]: Question(**row) for row in state["open"]}
        self._given_up = {row["clordid"]: Question(**row) for row in state["given_up"]}
        self._asked, self._down = state["asked"], dict.fromkeys(state["down"])
        self._plan()
