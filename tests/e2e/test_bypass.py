"""Nothing reaches a venue that the risk gate did not issue: not by injection, not by any stage, not by any call."""

from __future__ import annotations

import ast
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axiom.compose import SHARD, Composer, gate_name
from domain import commands as c
from domain import events as e
from domain.errors import ClearanceRefused
from domain.frames import QuoteFrame
from fix.served import clearance_of
from risk.seal import Sealer
from streams.shard import Shard
from streams.synthetic import SyntheticMarket
from streams.topology import GATE, SURVIVORS
from tests.e2e.conftest import settings_of

if TYPE_CHECKING:
    from axiom.launch import Launch
    from domain.stage import Stage
    from streams.direct import VenuePort
    from streams.recorded import FeedItem
    from tests.e2e.conftest import Prepare

CHECKOUT: Final = Path(__file__).resolve().parents[2]
SYN: Final = "SYN"
SECOND_NS: Final = 1_000_000_000
PARTY: Final = c.Party(account="A", capacity="market_maker", clearing_firm="000", market_maker_id="AXM")


class Door:
    """Counts what reaches the venues."""

    def __init__(self, ports: Sequence[VenuePort], patch: pytest.MonkeyPatch) -> None:
        self.arrived: list[e.Clearance] = []
        for port in ports:
            patch.setattr(port.exchange, "submit", self._watched(port.exchange.submit))

    def _watched(self, submit: Callable[[e.Clearance, int], Sequence[e.Event]]) -> Any:  # noqa: ANN401  # a method
        def watched(clearance: e.Clearance, ts: int) -> Sequence[e.Event]:
            self.arrived.append(clearance)
            return submit(clearance, ts)

        return watched


def outbound(head: dict[str, Any]) -> list[c.Outbound]:
    """One of each outbound message."""
    frame = QuoteFrame(
        venue=np.array([0]), contract=np.array([3]), bid=np.array([10_000]), bid_size=np.array([1]),
        ask=np.array([20_000]), ask_size=np.array([1]),
    )  # fmt: skip
    order: dict[str, Any] = {"venue": 3, "contract": c.STOCK, "side": "buy", "quantity": 1, "price": 2_500_000}
    return [
        c.PlaceQuotes(**head, quote_set_id="Q", party=PARTY, quote_ts=0, frame=frame),
        c.CancelQuotes(**head, cancel_id="X", venue=-1, contracts=(), reason="r"),
        c.SubmitOrder(
            **head, **order, clordid="O", request_id="R", order_type="limit", tif="ioc", intent=c.Intent.HEDGE,
            party=PARTY, sale_marking="", locate_id="", market_maker_exempt=False,
        ),
        c.CancelOrder(**head, clordid="O2", orig_clordid="O", venue=3, reason="r"),
        c.ReplaceOrder(**head, **order, clordid="O3", orig_clordid="O", party=PARTY),
        c.CancelAllOrders(**head, cancel_id="Y", venue=-1, reason="r"),
        c.RequestOrderStatus(**head, status_id="S", clordid="O", venue=3, contract=c.STOCK, side="buy"),
    ]  # fmt: skip


def as_clearance(command: c.Outbound, gate: str, sequence: int) -> e.Clearance:
    """The clearance that the gate would issue for a message, without its seal."""
    return msgspec.structs.replace(clearance_of(command), gate=gate, sequence=sequence)


HEAD: Final[dict[str, Any]] = {"ts_event": 1, "ts_init": 1, "underlying": SYN}
KINDS: Final = [type(command).__name__ for command in outbound(HEAD)]


def test_every_outbound_message_is_tried() -> None:
    assert {type(command) for command in outbound(HEAD)} == set(get_args(c.Outbound))
    cleared = {type(as_clearance(command, "g", 1)) for command in outbound(HEAD)}
    assert cleared == set(e.Clearance.__subclasses__())


@pytest.fixture
def begun(prepare: Prepare) -> Launch:
    """A run half a minute into its session: quotes rest, the gate has issued a few hundred clearances."""
    launch = prepare({"synthetic": {"session_minutes": 1}})
    launch.run.run(launch.recording.open_ns + 30 * SECOND_NS)
    assert launch.outlet.admitted > 10
    return launch


def test_no_message_leaves_without_a_clearance_or_with_a_forged_one(
    begun: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raw, unsealed, with a foreign seal, of a gate that is none, out of sequence: for each outbound message."""
    door, outlet = Door(begun.ports, monkeypatch), begun.outlet
    gate = gate_name(SYN)
    following = outlet.state()[gate] + 1
    foreign = Sealer(b"a key that nobody gave us")
    tried = 0
    for command in outbound(HEAD):
        bare = as_clearance(command, gate, following)
        forgeries: list[Any] = [
            command,
            bare,
            foreign.sealed(bare),
            foreign.sealed(as_clearance(command, "gate.OTHER", following)),
            foreign.sealed(as_clearance(command, gate, following + 1)),
            foreign.sealed(as_clearance(command, gate, 1)),
        ]
        for forged in forgeries:
            with pytest.raises(ClearanceRefused):
                outlet.send(forged, 0)
            tried += 1
    assert tried == outlet.refused == 6 * len(KINDS)
    assert outlet.state()[gate] + 1 == following
    begun.run.drain()
    assert not [clearance for clearance in door.arrived if clearance.ts_event == HEAD["ts_event"]]


def test_what_the_gate_issued_leaves_once_and_unchanged(begun: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clearance of this very gate: sent again, or with a field changed, it is refused; in its turn it was not."""
    kept: list[e.Clearance] = []
    send = begun.outlet.send

    def keep(clearance: e.Clearance, now: int) -> Any:  # noqa: ANN401  # parcels
        parcels = send(clearance, now)
        kept.append(clearance)
        return parcels

    monkeypatch.setattr(begun.outlet, "send", keep)
    begun.run.run()
    assert begun.outlet.refused == 0
    kinds = {type(clearance).__name__: clearance for clearance in kept}
    assert {"QuotesCleared", "OrderCleared", "QuoteCancelCleared"} <= set(kinds)
    door = Door(begun.ports, monkeypatch)
    for clearance in kinds.values():
        later = msgspec.structs.replace(clearance, sequence=begun.outlet.state()[clearance.gate] + 1)
        moved = msgspec.structs.replace(clearance, ts_event=clearance.ts_event + 1)
        for forged in (clearance, later, moved, *changed(clearance)):
            with pytest.raises(ClearanceRefused):
                send(forged, 0)
    begun.run.drain()
    assert door.arrived == []


def changed(clearance: e.Clearance) -> list[e.Clearance]:
    """The same clearance with more than was cleared."""
    match clearance:
        case e.QuotesCleared(frame=frame):
            more = QuoteFrame.from_columns({**frame.columns(), "bid_size": frame.bid_size + 1})
            return [msgspec.structs.replace(clearance, frame=more)]
        case e.OrderCleared(order=order):
            terms: list[dict[str, Any]] = [
                {"quantity": order.quantity + 1},
                {"price": order.price + 100},
                {"side": "sell" if order.side == "buy" else "buy"},
                {"sale_marking": "long"} if order.sale_marking != "long" else {"sale_marking": "short"},
            ]
            return [msgspec.structs.replace(clearance, order=msgspec.structs.replace(order, **each)) for each in terms]
        case _:
            return []


# --- no path avoids the gate ------------------------------------------------------------------------------------------


class Desk:
    """The composed shard with its outlet and venues; time stands still between two steps."""

    def __init__(self, items: Sequence[FeedItem], patch: pytest.MonkeyPatch) -> None:
        chosen = settings_of({})
        composer = Composer()
        listed = next(item.event for item in items if isinstance(item.event, e.ChainListed))
        self.ports = composer.ports(chosen, listed)
        self.outlet = composer.outlet(chosen, SYN, self.ports)
        self.door = Door(self.ports, patch)
        self.shard = Shard(SHARD, composer.stages)
        self.issued: Counter[str] = Counter()
        self.parcels = 0
        self._offsets: Counter[str] = Counter()
        self._now = items[0].event.ts_event
        self.put("run", started(chosen.to_json(), listed.trade_date))

    def put(self, source: str, event: e.Event) -> None:
        """One input; what leaves reaches its venue at once, and the answers come back."""
        queue = [(source, event)]
        for name, each in queue:
            self._now = max(self._now, each.ts_event)
            outputs = self.shard.handle(name, self._offsets[name], each)
            self._offsets[name] += 1
            if isinstance(each, e.ChainListed):
                self._watch()
            for output in outputs:
                if isinstance(output, e.Clearance):
                    for parcel in self.outlet.send(output, self._now):
                        self.parcels += 1
                        exchange = self.ports[parcel.venue].exchange
                        answers = exchange.submit(parcel.clearance, self._now)
                        queue += [(f"venue.{parcel.venue}", answer) for answer in answers]

    def market(self, event: e.Event) -> None:
        for venue, port in enumerate(self.ports):
            for answer in port.exchange.on_market(event):
                self.put(f"venue.{venue}", answer)
        self.put("feed", event)

    def operate(self, kind: type[c.OperatorCommand], underlying: str) -> None:
        fields: dict[str, Any] = {"ts_event": self._now, "ts_init": self._now, "underlying": underlying}
        if kind is c.ChangeLimits:
            fields["limits"] = {"held_delta": 10.0}
        self.put("ops", kind(**fields, user="u", reason="r"))

    def tick(self) -> None:
        ts = self._now + SECOND_NS
        self.put("timer", e.TimerFired(ts_event=ts, ts_init=ts, underlying=SYN, timer="1s"))

    def _watch(self) -> None:
        """Note which stage gives each clearance."""
        for stage in self.shard.stages(SYN):
            stage.apply = self._noting(stage)  # type: ignore[method-assign, assignment]  # a spy on this object alone

    def _noting(self, stage: Stage) -> Callable[[e.Event], Sequence[e.Event]]:
        apply = stage.apply

        def noting(event: e.Event) -> Sequence[e.Event]:
            outputs = apply(event)
            self.issued[stage.name] += sum(isinstance(output, e.Clearance) for output in outputs)
            return outputs

        return noting


def started(chosen: str, trade_date: str) -> e.RunStarted:
    return e.RunStarted(
        ts_event=0, ts_init=0, underlying=SYN, run="r", seed=1, source="s", is_synthetic=True, trade_date=trade_date,
        settings=chosen,
    )  # fmt: skip


@pytest.fixture(scope="module")
def feed() -> list[FeedItem]:
    """Half a minute of the synthetic market."""
    return list(itertools.islice(SyntheticMarket(settings_of({}).synthetic, 1).items(), 120))


OPERATORS: Final = sorted(c.OperatorCommand.__subclasses__(), key=lambda kind: kind.__name__)
STEPS: Final = st.lists(
    st.one_of(
        st.tuples(st.just("market"), st.integers(1, 6)),
        st.tuples(st.just("skip"), st.integers(1, 6)),
        st.tuples(st.just("operate"), st.tuples(st.sampled_from(OPERATORS), st.sampled_from([SYN, ""]))),
        st.tuples(st.just("tick"), st.none()),
    ),
    min_size=4,
    max_size=16,
)


@pytest.mark.fuzz
@settings(max_examples=15)
@given(steps=STEPS)
def test_only_the_gate_issues_clearances_and_venues_get_exactly_those(feed: list[FeedItem], steps: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        desk = Desk(feed, patch)
        opened = next(place for place, item in enumerate(feed) if isinstance(item.event, e.UnderlyingUpdated))
        items = iter(feed)
        for item in itertools.islice(items, opened + 8):
            desk.market(item.event)
        for kind, value in steps:
            if kind == "operate":
                desk.operate(*value)
            elif kind == "tick":
                desk.tick()
            else:
                for item in itertools.islice(items, value):
                    if kind == "market":
                        desk.market(item.event)
        assert set(+desk.issued) <= {GATE}
        assert desk.issued[GATE] == desk.outlet.admitted > 0
        assert desk.outlet.refused == 0
        assert len(desk.door.arrived) == desk.parcels


def test_the_gate_and_those_that_survive_a_halt_are_stages_of_the_composed_shard(feed: list[FeedItem]) -> None:
    """A name that no stage has would leave a halted shard without its cancels or its late fills."""
    listed = feed[0].event
    assert isinstance(listed, e.ChainListed)
    names = [stage.name for stage in Composer().stages(started(settings_of({}).to_json(), listed.trade_date), listed)]
    assert len(set(names)) == len(names)
    assert {GATE} | SURVIVORS <= set(names)


# --- by reading the code ----------------------------------------------------------------------------------------------

PACKAGES: Final = ("axiom", "streams", "fix", "store", "quoting", "hedging", "routing", "risk", "pricing", "domain")


@functools.cache
def every_call() -> list[tuple[str, ast.Call]]:
    """All calls in the product, each with its module."""
    return [
        (path.relative_to(CHECKOUT).as_posix(), node)
        for package in PACKAGES
        for path in sorted((CHECKOUT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]


def calls(is_wanted: Callable[[ast.Call], bool]) -> set[str]:
    """Modules of the product that make a call."""
    return {module for module, node in every_call() if is_wanted(node)}


def is_call_of(name: str, owner: str = "") -> Callable[[ast.Call], bool]:
    """Calls of a function or class by name, or of a method of something whose name ends with `owner`."""

    def is_wanted(node: ast.Call) -> bool:
        function = node.func
        if isinstance(function, ast.Name):
            return not owner and function.id == name
        if not isinstance(function, ast.Attribute) or function.attr != name:
            return False
        value = function.value
        held_by = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""
        return held_by.endswith(owner)

    return is_wanted


def test_a_venue_is_called_from_the_runtime_and_from_nowhere_else() -> None:
    assert calls(is_call_of("submit", "exchange")) == {"routing/misbehaviour.py", "streams/embedded.py"}
    assert calls(is_call_of("Exchange")) == {"axiom/compose.py"}
    assert calls(is_call_of("Misbehaving")) == {"axiom/compose.py"}


def test_a_venue_over_fix_is_reached_from_its_port_and_from_nowhere_else() -> None:
    assert calls(is_call_of("send", "links")) == {"fix/remote_venue.py"}
    assert calls(is_call_of("send", "engine")) == {
        "axiom/gateway_process.py",
        "axiom/venue_following.py",
        "axiom/venue_process.py",
        "fix/links.py",
    }
    assert calls(is_call_of("RemoteVenue")) == {"axiom/fix_venues.py"}


def test_the_outlet_is_called_from_the_runtime_and_the_key_is_made_in_one_place() -> None:
    assert calls(is_call_of("send", "outlet")) == {"streams/embedded.py"}
    assert calls(is_call_of("Sealer")) == {"axiom/compose.py", "axiom/gateway_process.py"}  # seals, and verifies
    assert calls(is_call_of("sealed")) == {"risk/issue.py"}
