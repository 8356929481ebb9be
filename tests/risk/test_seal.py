from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from domain import commands as c
from domain import events as e
from domain.errors import ClearanceRefused, InputError
from domain.frames import QuoteFrame
from risk.seal import ClearanceLedger, Sealer

if TYPE_CHECKING:
    from tests.risk.conftest import Desk

KEY = b"a key of the tests alone"


def one_of_each(desk: Desk) -> list[e.Clearance]:
    """Clearances of all seven kinds, as a gate issues them."""
    order = desk.order(quantity=100)
    cancel: dict[str, Any] = {"ts_event": desk.now, "ts_init": desk.now, "underlying": "XYZ", "reason": "r"}
    replace = c.ReplaceOrder(
        **desk.head,
        clordid="N1",
        orig_clordid=order.clordid,
        venue=0,
        contract=c.STOCK,
        side="buy",
        quantity=50,
        price=1_000_100,
        party=order.party,
    )
    commands: list[c.Command] = [
        desk.quotes([(0, 0, 49_000, 10, 51_000, 10), (1, 3, 49_000, 5, 51_000, 5)]),
        c.CancelQuotes(**cancel, cancel_id="C1", venue=-1, contracts=(1, 2)),
        order,
        replace,
        c.CancelOrder(**cancel, clordid="C2", orig_clordid=order.clordid, venue=0),
        c.CancelAllOrders(**cancel, cancel_id="C3", venue=-1),
        c.RequestOrderStatus(
            **desk.head, status_id="S1", clordid=order.clordid, venue=0, contract=c.STOCK, side=order.side
        ),
    ]
    events = [event for command in commands for event in desk.apply(command)]
    cleared = [event for event in events if isinstance(event, e.Clearance)]
    kinds = {type(event) for event in cleared}
    assert kinds == set(e.Clearance.__subclasses__())
    return cleared


def altered(clearance: e.Clearance) -> list[e.Clearance]:
    """The clearance with each of its parts changed, one at a time."""
    content: dict[str, Any] = {"ts_event": clearance.ts_event + 1, "underlying": "ABC", "gate": "other", "sequence": 99}
    match clearance:
        case e.QuotesCleared(frame=frame):
            content |= {"quote_set_id": "other", "quote_ts": 1}
            content["party"] = msgspec.structs.replace(clearance.party, account="other")
            for name in QuoteFrame.dtypes:
                columns = frame.columns()
                columns[name] = np.array(columns[name]) + np.eye(1, len(frame), dtype=columns[name].dtype)[0]
                content[f"frame.{name}"] = QuoteFrame(**columns)
        case e.OrderCleared(order=order):
            content["order"] = msgspec.structs.replace(order, quantity=order.quantity + 1)
        case e.OrderReplaceCleared(replace=replace):
            content["replace"] = msgspec.structs.replace(replace, price=replace.price + 100)
        case e.OrderStatusCleared(request=request):
            content["request"] = msgspec.structs.replace(request, venue=request.venue + 1)
        case e.QuoteCancelCleared() | e.OrderCancelCleared() | e.OrdersCancelCleared():
            content["cancel"] = msgspec.structs.replace(clearance.cancel, venue=clearance.cancel.venue + 1)
    return [msgspec.structs.replace(clearance, **{name.split(".")[0]: value}) for name, value in content.items()]


def test_the_outlet_takes_what_the_gate_issued_in_its_order(desk: Desk) -> None:
    ledger = ClearanceLedger(Sealer(KEY))
    for number, clearance in enumerate(one_of_each(desk), start=1):
        ledger.admit(clearance)
        assert ledger.last("XYZ-gate") == number


def test_every_outbound_command_without_a_clearance_is_refused(desk: Desk) -> None:
    ledger = ClearanceLedger(Sealer(KEY))
    outbound: list[Any] = [desk.quotes([(0, 0, 49_000, 10, 51_000, 10)])]
    for clearance in one_of_each(desk):
        outbound += [
            getattr(clearance, name) for name in ("order", "cancel", "replace", "request") if hasattr(clearance, name)
        ]
    assert {type(command) for command in outbound} == set(c.Outbound.__args__)
    for command in outbound:
        with pytest.raises(ClearanceRefused):
            ledger.admit(command)


def test_a_forged_or_missing_seal_is_refused(desk: Desk) -> None:
    stranger = Sealer(b"a key that nobody gave out")
    for clearance in one_of_each(desk):
        for seal in ("", "0" * 32, clearance.seal[:-1], stranger.seal(clearance), "é" * 32):
            with pytest.raises(ClearanceRefused):
                Sealer(KEY).verify(msgspec.structs.replace(clearance, seal=seal))


def test_a_changed_field_breaks_the_seal(desk: Desk) -> None:
    for clearance in one_of_each(desk):
        for changed in altered(clearance):
            with pytest.raises(ClearanceRefused):
                Sealer(KEY).verify(changed)


def test_a_seal_of_one_kind_does_not_fit_another(desk: Desk) -> None:
    cleared = one_of_each(desk)
    for clearance in cleared:
        for other in cleared:
            if other is not clearance:
                with pytest.raises(ClearanceRefused):
                    Sealer(KEY).verify(msgspec.structs.replace(clearance, seal=other.seal))


def test_a_replayed_or_skipped_number_is_refused_and_changes_nothing(desk: Desk) -> None:
    first, second, third = one_of_each(desk)[:3]
    ledger = ClearanceLedger(Sealer(KEY))
    ledger.admit(first)
    for wrong in (first, third):
        with pytest.raises(ClearanceRefused):
            ledger.admit(wrong)
    ledger.admit(second)
    ledger.admit(third)


def test_a_resumed_ledger_goes_on_where_it_was(desk: Desk) -> None:
    first, second, third = one_of_each(desk)[:3]
    ledger = ClearanceLedger(Sealer(KEY))
    ledger.resume("XYZ-gate", second.sequence)
    for seen in (first, second):
        with pytest.raises(ClearanceRefused):
            ledger.admit(seen)
    ledger.admit(third)


def test_ts_init_is_outside_the_seal(desk: Desk) -> None:
    for clearance in one_of_each(desk):
        Sealer(KEY).verify(msgspec.structs.replace(clearance, ts_init=1))


@pytest.mark.parametrize("key", [b"", b"short", b"x" * 65])
def test_a_key_of_the_wrong_length_is_refused(key: bytes) -> None:
    with pytest.raises(InputError, match="seal key"):
        Sealer(key)


def test_gates_are_numbered_apart(new_desk: type[Desk]) -> None:
    ledger = ClearanceLedger(Sealer(KEY))
    for clearance in one_of_each(new_desk().open())[:2]:
        ledger.admit(clearance)
    other = msgspec.structs.replace(one_of_each(new_desk().open())[0], gate="ABC-gate")
    ledger.admit(Sealer(KEY).sealed(other))
