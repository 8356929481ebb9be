"""A small desk: four contracts, real stages of a few lines and a venue: the runtimes are tested as they run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from domain import commands as c
from domain import events as e
from domain.events_base import Event
from domain.frames import GreeksFrame, PositionFrame, QuoteFrame, QuoteRefusalFrame, TradeFrame
from domain.instrument import OptionContract
from domain.price import PENNY
from domain.state import pack, unpack
from risk.seal import ClearanceLedger, Sealer
from streams.direct import DirectOutlet, VenuePort
from streams.embedded import EmbeddedRun, Pace, Sink
from streams.journal import GENESIS, JournalReader, JournalTail, JournalWriter
from streams.journaled import Journaled
from streams.recorded import FeedItem
from streams.replay import grouped
from streams.shard import Shard

XYZ: Final = "XYZ"
OPEN: Final = 1_450_967_400_000_000_000  # 24 Dec 2015, 09:30 New York
SECOND: Final = 1_000_000_000
LATENCY: Final = 200_000
KEY: Final = b"a key of the tests alone"
PARTY: Final = c.Party(account="A1", capacity="market_maker", clearing_firm="CF", market_maker_id="MM")
CONTRACTS: Final = tuple(
    OptionContract(root=XYZ, underlying=XYZ, expiry=dt.date(2016, 1, 15), strike=strike * 1000, right=right)
    for strike in (90, 100)
    for right in ("C", "P")
)
HEAD: Final[dict[str, Any]] = {"ts_event": OPEN, "ts_init": OPEN, "underlying": XYZ}


def run_started(run: str = "r1", underlying: str = XYZ) -> e.RunStarted:
    return e.RunStarted(
        ts_event=0, ts_init=0, underlying=underlying, run=run, seed=7, source="tiny", is_synthetic=True,
        trade_date="2015-12-24", settings="{}",
    )  # fmt: skip


def chain_listed(ts: int = 0, underlying: str = XYZ) -> e.ChainListed:
    return e.ChainListed(
        ts_event=ts, ts_init=ts, underlying=underlying, trade_date="2015-12-24", contracts=CONTRACTS,
        tick_classes={XYZ: PENNY},
    )  # fmt: skip


def tick(ts: int, bid: int = 1_000_000, underlying: str = XYZ) -> e.UnderlyingUpdated:
    return e.UnderlyingUpdated(
        ts_event=ts, ts_init=ts, underlying=underlying, bid=bid, bid_size=1, ask=bid + 100, ask_size=1
    )


def prints(ts: int, contract: int, price: int) -> e.TradesPrinted:
    one = np.array([price])
    frame = TradeFrame(contract=np.array([contract]), price=one, low=one, high=one, volume=np.array([1]))
    return e.TradesPrinted(ts_event=ts, ts_init=ts, underlying=XYZ, frame=frame)


def session(ts: int, state: e.SessionState) -> e.SessionChanged:
    return e.SessionChanged(
        ts_event=ts, ts_init=ts, underlying=XYZ, state=state, open_ts=OPEN, close_ts=OPEN + 9 * SECOND
    )


def day(seconds: int = 3) -> list[FeedItem]:
    """A session of a few seconds: the underlying moves on the grid of the timer and trades print between."""
    events: list[Event] = [
        chain_listed(OPEN - 60 * SECOND),
        session(OPEN - 60 * SECOND, "pre_open"),
        session(OPEN, "open"),
    ]
    for second in range(1, seconds + 1):
        ts = OPEN + second * SECOND
        events += [
            tick(ts, 1_000_000 + 300 * (second % 3)),
            prints(ts + SECOND // 2, second % 4, 39_000 if second % 3 else 41_000),
        ]
    events.append(session(OPEN + (seconds + 1) * SECOND, "closed"))
    return [FeedItem("tiny", offset, event) for offset, event in enumerate(events)]


def head_of(event: Event) -> dict[str, Any]:
    return {"ts_event": event.ts_event, "ts_init": event.ts_init, "underlying": event.underlying}


class Keeping:
    """State in plain attributes, packed by name."""

    name = ""
    state: tuple[str, ...] = ()

    def snapshot(self) -> bytes:
        return pack(self.name, 1, {key: getattr(self, key) for key in self.state})

    def restore(self, state: bytes) -> None:
        for key, value in unpack(self.name, 1, state).items():
            setattr(self, key, value)


class Pricer(Keeping):
    """Theos that follow the underlying; `bias` is what another machine's rounding adds."""

    name, state = "pricer", ("count",)
    reads: frozenset[type[Event]] = frozenset({e.UnderlyingUpdated})

    def __init__(self, bias: float = 0.0) -> None:
        self.bias, self.count = bias, 0

    def apply(self, event: Event) -> Sequence[Event]:
        assert isinstance(event, e.UnderlyingUpdated)
        self.count += 1
        spot = event.bid * 1e-4
        n = len(CONTRACTS)
        columns: dict[str, Any] = {name: np.zeros(n, dtype) for name, dtype in GreeksFrame.dtypes.items()}
        columns["contract"] = np.arange(n, dtype=np.int32)
        columns["theo"] = 4.0 + 0.01 * (spot - 100.0) * np.arange(n) + self.bias
        columns["delta"] = np.full(n, np.nan)
        frame = GreeksFrame(**columns)
        return [
            e.GreeksComputed(
                ts_event=event.ts_event, ts_init=event.ts_init, underlying=event.underlying, spot=spot,
                is_refresh=True, frame=frame,
            )
        ]  # fmt: skip


class Quoter(Keeping):
    """Shows every contract around theo at both venues; stops when told to."""

    name, state = "quoter", ("count", "timers", "is_paused")
    reads: frozenset[type[Event]] = frozenset(
        {e.GreeksComputed, e.TimerFired, e.SessionChanged, c.PauseQuoting, c.ResumeQuoting}
    )

    def __init__(self) -> None:
        self.count, self.timers, self.is_paused = 0, 0, False

    def apply(self, event: Event) -> Sequence[Event]:
        head = head_of(event)
        match event:
            case e.TimerFired():
                self.timers += 1
            case c.ResumeQuoting():
                self.is_paused = False
            case e.GreeksComputed(frame=frame) if not self.is_paused:
                self.count += 1
                n = len(frame)
                mid = np.rint(frame.theo * 1e4).astype(np.int64)
                quotes = QuoteFrame(
                    venue=np.repeat([0, 1], n), contract=np.tile(frame.contract, 2), bid=np.tile(mid - 500, 2),
                    bid_size=np.full(2 * n, 5), ask=np.tile(mid + 500, 2), ask_size=np.full(2 * n, 5),
                )  # fmt: skip
                name = f"Q{self.count}.{self.timers}"
                return [c.PlaceQuotes(**head, quote_set_id=name, party=PARTY, quote_ts=event.ts_event, frame=quotes)]
            case c.PauseQuoting() | e.SessionChanged(state="closed"):
                self.is_paused = True
                return [c.CancelQuotes(**head, cancel_id=f"X{self.count}", venue=-1, contracts=(), reason="stop")]
            case _:
                pass
        return []


class Fills(Keeping):
    """Counts each execution once."""

    name, state = "orders", ("seen",)
    reads: frozenset[type[Event]] = frozenset({e.ExecutionReported})

    def __init__(self) -> None:
        self.seen: list[str] = []

    def apply(self, event: Event) -> Sequence[Event]:
        assert isinstance(event, e.ExecutionReported)
        if event.exec_id in self.seen:
            return []
        self.seen.append(event.exec_id)
        return [
            e.OrderFilled(
                ts_event=event.ts_event, ts_init=event.ts_init, underlying=event.underlying, fill_id=event.exec_id,
                venue=event.venue, clordid="", is_quote=True, intent="quote", contract=event.contract, side=event.side,
                quantity=event.last_qty, price=event.last_px, fee=0, adds_liquidity=True,
            )
        ]  # fmt: skip


class Held(Keeping):
    """Adds up the fills."""

    name, state = "positions", ("quantity",)
    reads: frozenset[type[Event]] = frozenset({e.OrderFilled})

    def __init__(self) -> None:
        self.quantity = np.zeros(len(CONTRACTS), np.int64)

    def apply(self, event: Event) -> Sequence[Event]:
        assert isinstance(event, e.OrderFilled)
        change = event.quantity if event.side == "buy" else -event.quantity
        self.quantity[event.contract] += change
        return [
            e.PositionChanged(
                ts_event=event.ts_event, ts_init=event.ts_init, underlying=event.underlying, contract=event.contract,
                quantity=int(self.quantity[event.contract]), change=change, cause="fill",
            )
        ]  # fmt: skip


class Gate(Keeping):
    """Seals what may leave. After a kill only cancels may."""

    name, state = "gate", ("sequence", "is_killed")
    reads: frozenset[type[Event]] = frozenset({c.PlaceQuotes, c.CancelQuotes, c.EngageKillSwitch, c.PauseQuoting})

    def __init__(self) -> None:
        self.sequence, self.is_killed = 0, False
        self._sealer = Sealer(KEY)

    def apply(self, event: Event) -> Sequence[Event]:
        head = head_of(event)
        match event:
            case c.PlaceQuotes() if not self.is_killed:
                return [
                    self._sealed(
                        e.QuotesCleared(
                            **head, gate="gate.XYZ", sequence=0, seal="", quote_set_id=event.quote_set_id,
                            party=event.party, quote_ts=event.quote_ts, frame=event.frame,
                        )
                    )
                ]  # fmt: skip
            case c.CancelQuotes():
                return [self._cancel(event)]
            case c.EngageKillSwitch():
                self.is_killed = True
                cancel = c.CancelQuotes(**head, cancel_id="K", venue=-1, contracts=(), reason="kill")
                return [e.KillSwitchEngaged(**head, user=event.user, reason=event.reason), self._cancel(cancel)]
            case c.PauseQuoting():
                return [e.CommandApplied(**head, command="PauseQuoting", user=event.user, reason=event.reason)]
            case _:
                return []

    def _cancel(self, cancel: c.CancelQuotes) -> e.Clearance:
        head = head_of(cancel)
        return self._sealed(e.QuoteCancelCleared(**head, gate="gate.XYZ", sequence=0, seal="", cancel=cancel))

    def _sealed(self, clearance: e.Clearance) -> e.Clearance:
        self.sequence += 1
        return self._sealer.sealed(msgspec.structs.replace(clearance, sequence=self.sequence))


class Venue(Keeping):
    """Keeps our bids and sells to us, one lot, when a print is at or below."""

    state = ("bids", "sold", "executions", "seen")

    def __init__(self, index: int) -> None:
        self.name = f"venue{index}"
        self.index = index
        self.bids = np.zeros(len(CONTRACTS), np.int64)
        self.sold = np.zeros(len(CONTRACTS), np.int64)
        self.executions = 0
        self.seen: list[str] = []

    def submit(self, clearance: e.Clearance, ts: int) -> Sequence[Event]:
        head = head_of(clearance) | {"ts_event": ts}
        self.seen.append(f"{type(clearance).__name__}@{ts}")
        if isinstance(clearance, e.QuotesCleared):
            frame = clearance.frame
            self.bids[frame.contract] = frame.bid
            return [
                e.QuotesAcknowledged(
                    **head, venue=self.index, quote_set_id=clearance.quote_set_id, accepted=len(frame),
                    frame=QuoteRefusalFrame.empty(),
                )
            ]  # fmt: skip
        assert isinstance(clearance, e.QuoteCancelCleared)
        self.bids[:] = 0
        cancel_id = clearance.cancel.cancel_id
        return [e.QuotesCanceled(**head, venue=self.index, cancel_id=cancel_id, contracts=(), reason="asked")]

    def on_market(self, event: Event) -> Sequence[Event]:
        self.seen.append(f"{type(event).__name__}@{event.ts_event}")
        if not isinstance(event, e.TradesPrinted):
            return []
        reports: list[Event] = []
        for contract, price in zip(event.frame.contract.tolist(), event.frame.price.tolist(), strict=True):
            bid = int(self.bids[contract])
            if price <= bid:
                self.executions += 1
                self.sold[contract] += 1
                reports.append(self._report(event, contract, bid))
        return reports

    def positions(self) -> tuple[npt.NDArray[np.int64], int]:
        return self.sold.copy(), 0

    def cash(self) -> int:
        return 0

    def _report(self, event: Event, contract: int, price: int) -> e.ExecutionReported:
        return e.ExecutionReported(
            ts_event=event.ts_event, ts_init=event.ts_init, underlying=event.underlying, venue=self.index, clordid="",
            orig_clordid="", quote_set_id="Q", exec_id=f"{self.index}.{self.executions}", exec_ref_id="",
            exec_type=e.ExecType.TRADE, ord_status=e.OrdStatus.PARTIALLY_FILLED, contract=contract, side="buy",
            last_qty=1, last_px=price, cum_qty=1, leaves_qty=4, fee=0, adds_liquidity=True, text="",
        )  # fmt: skip


def stages(bias: float = 0.0) -> list[Any]:
    """The stages of one underlying, in order."""
    return [Pricer(bias), Quoter(), Fills(), Held(), Gate()]


class People:
    """A control whose commands come after so many steps of the run, whether or not it was resumed before."""

    def __init__(self, script: Mapping[int, tuple[c.OperatorCommand, ...]] | None = None, stop_at: int = -1) -> None:
        self.script = script or {}
        self.stop_at = stop_at
        self.clock: Callable[[], int] = lambda: 0
        self.answers: list[tuple[c.OperatorCommand, Sequence[Event]]] = []

    @property
    def should_stop(self) -> bool:
        return 0 <= self.stop_at <= self.clock()

    def poll(self) -> Sequence[c.OperatorCommand]:
        return self.script.get(self.clock(), ())

    def answer(self, command: c.OperatorCommand, outputs: Sequence[Event]) -> None:
        self.answers.append((command, outputs))


class AtOnce:
    """A pace that never waits."""

    def wait(self, until_ts: int, control: object) -> bool:  # noqa: ARG002  # the protocol of Pace
        return True


class Kept:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.inputs: list[tuple[str, Event, Sequence[Event]]] = []

    def on_input(self, source: str, event: Event, outputs: Sequence[Event]) -> None:
        self.inputs.append((source, event, list(outputs)))


class Runner:
    """Everything of one run, as the root of the program would put it together."""

    def __init__(
        self,
        folder: Path,
        *,
        feed: Iterable[FeedItem] | None = None,
        control: People | None = None,
        pace: Pace | None = None,
        bias: float = 0.0,
        latencies: tuple[int, int] = (LATENCY, 3 * LATENCY),
        resume: bool = False,
        snapshot: bytes | None = None,
    ) -> None:
        self.folder = folder
        items = list(day() if feed is None else feed)
        tail, journaled = JournalTail(0, GENESIS), None
        state = unpack("run", 1, snapshot) if snapshot is not None else {"sequence": 0, "feed_offset": 0}
        if resume:
            last, tail, _ = JournalTail.cut_after_last_input(folder)
            journaled = Journaled(grouped(JournalReader(folder), state["sequence"]), last.sequence)
        elif snapshot is not None:
            raise AssertionError("a snapshot is part of a resume")
        self.venues = [Venue(0), Venue(1)]
        self.ports = [
            VenuePort(f"V{i}", takes_quotes=True, latency_ns=latencies[i], exchange=venue)
            for i, venue in enumerate(self.venues)
        ]
        self.journal = JournalWriter(
            folder, next_sequence=tail.next_sequence, chain=tail.chain, segment_bytes=16 * 1024
        )
        self.shard = Shard("0", lambda *_: stages(bias))
        self.kept = Kept()
        self.control = control or People()
        sinks: list[Sink] = [self.kept]
        self.run = EmbeddedRun(
            started=run_started(),
            imported=[
                e.PositionsImported(
                    ts_event=0,
                    ts_init=0,
                    underlying=XYZ,
                    stock=0,
                    stock_price=0.0,
                    cash=0.0,
                    frame=PositionFrame.empty(),
                )
            ],
            feed=items[state["feed_offset"] :],
            shard=self.shard,
            outlet=DirectOutlet({"gate.XYZ": ClearanceLedger(Sealer(KEY))}, self.ports, 3),
            ports=self.ports,
            journal=self.journal,
            control=self.control,
            pace=pace or AtOnce(),
            sinks=sinks,
            journaled=journaled,
        )
        self.control.clock = lambda: self.run._steps
        if snapshot is not None:
            self.run.restore(snapshot)

    def finish(self) -> str:
        """Run to the end; return the digest."""
        self.run.run()
        self.journal.close()
        return self.run.digest.hex()


def journal_bytes(folder: Path) -> dict[str, bytes]:
    """Every segment of a journal, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def write_journal(folder: Path, segments: dict[str, bytes]) -> Path:
    """Make a journal of given bytes."""
    folder.mkdir(parents=True)
    for name, data in segments.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Path]:
    """New folders, one at each call: properties try many examples in one test."""

    def names() -> Iterator[Path]:
        number = 0
        while True:
            number += 1
            yield tmp_path / f"j{number}"

    found = names()
    return lambda: next(found)
