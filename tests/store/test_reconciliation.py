"""What a day's doubts come to: settled or not, booked or not, trusted or not."""

from __future__ import annotations

from typing import Any, Final

from domain import events as e
from store.reconciliation import ReconciliationLog

HEAD: Final[dict[str, Any]] = {"ts_event": 1, "ts_init": 1, "underlying": "XYZ"}


def needed(exec_id: str = "", unbooked: int = 0) -> e.ReconciliationNeeded:
    return e.ReconciliationNeeded(**HEAD, venue=3, subject="O1", reason="odd", exec_id=exec_id, unbooked=unbooked)


def ended(*, is_settled: bool) -> e.ReconciliationEnded:
    return e.ReconciliationEnded(
        **HEAD, venue=3, clordid="O1", is_settled=is_settled, tries=8, outcome="unknown, 0 of 5 executed"
    )


def trust(*, is_trusted: bool) -> e.VenueTrustChanged:
    return e.VenueTrustChanged(**HEAD, venue=3, is_trusted=is_trusted, reason="r")


def filled(fill_id: str) -> e.OrderFilled:
    return e.OrderFilled(
        **HEAD, fill_id=fill_id, venue=3, clordid="O1", is_quote=False, intent="hedge", contract=-1, side="buy",
        quantity=5, price=10, fee=0, adds_liquidity=False,
    )  # fmt: skip


def test_what_is_not_put_right_by_the_end_of_the_day_is_a_problem_for_a_person() -> None:
    log = ReconciliationLog()
    for event in (needed("SIMS-7", 5), needed(), ended(is_settled=False), trust(is_trusted=False)):
        log.apply(event)
    found = log.summary()
    assert (found["doubts"], found["unsettled"], found["unbooked"], found["disputed_venues"]) == (2, 1, 1, 1)
    assert log.problems() == [
        "order O1 is not settled: unknown, 0 of 5 executed",
        "not booked: 5 by O1: odd",
        "venue 3 executed more than was ordered, and did not take it back",
    ]


def test_what_is_put_right_later_is_none() -> None:
    log = ReconciliationLog()
    bad = (needed("SIMS-7", 5), ended(is_settled=False), trust(is_trusted=False))
    for event in (*bad, filled("3:SIMS-7"), ended(is_settled=True), trust(is_trusted=True)):
        log.apply(event)
    assert log.problems() == []
    assert (log.summary()["settled"], log.summary()["unsettled"]) == (1, 0)
