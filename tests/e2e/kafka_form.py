"""Processes of the Kafka form, and somebody who stands where the desk stands: sealed clearances out, reports in."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from axiom.cluster import SEAL_KEY_FILE
from axiom.fleet import free_port
from domain import commands as c
from domain import events as e
from domain.codec import encode
from domain.commands import STOCK, Party
from domain.frames import QuoteFrame
from domain.ownership_events import InputsApplied, OwnershipTaken
from domain.partitioning import partition_of
from risk.seal import Sealer
from streams.kafka import Fetcher
from streams.kafka_message import Place
from streams.kafka_publisher import Publisher
from streams.kafka_reader import BEGIN, Reader
from streams.kafka_settings import Cluster, KafkaSettings
from streams.kafka_topics import verify
from streams.messages import Headers, Outgoing

PARTITIONS: Final = 4
LIMIT_S: Final = 30.0
GROUP: Final = "desk"
PARTY: Final = Party(account="AXIOM01", capacity="market_maker", clearing_firm="000", market_maker_id="AXM")
SMALL: Final = {
    "AXIOM_SET_SYNTHETIC__CONTRACTS": "200",
    "AXIOM_SET_SYNTHETIC__STEP_MS": "500",
    "AXIOM_SET_SYNTHETIC__ORDERS_PER_MINUTE": "240",
}


@dataclass
class Process:
    """A command that can be killed and started again."""

    name: str
    arguments: list[str]
    environment: Mapping[str, str]
    log: Path
    running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-m", "axiom", *self.arguments],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """Kill it with -9."""
        assert self.running is not None
        self.running.kill()
        self.running.wait(10)

    def stop(self) -> int:
        """Ask it to end, and return its exit status."""
        assert self.running is not None
        self.running.send_signal(signal.SIGTERM)
        return self.running.wait(15)

    def end(self) -> None:
        """Whatever happened: it is gone afterwards."""
        if self.running is not None and self.running.poll() is None:
            self.kill()


@dataclass
class Form:
    """Venues, gateway and feed on one Kafka."""

    bootstrap: str
    folder: Path
    key: bytes
    mics: tuple[str, ...] = ("SIMA", "SIMS")
    extra: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        key = self.folder / "seal.key"
        key.write_bytes(self.key)
        key.chmod(0o600)
        environment = {**SMALL, SEAL_KEY_FILE: str(key), **self.extra}
        ports = {mic: free_port() for mic in self.mics}
        common = ["--bootstrap", self.bootstrap]
        for mic, port in ports.items():
            arguments = ["venue", mic, "--port", str(port), *common, "--data", str(self.folder)]
            self._add(mic, arguments, environment)
        named = [part for mic, port in ports.items() for part in ("--venue", f"{mic}=127.0.0.1:{port}")]
        self._add("gateway", ["gateway", *common, *named, "--data", str(self.folder / "gateway")], environment)
        feed = ["feed", *common, "--data", str(self.folder / "feed"), "--synthetic", "4", "--speed", "1"]
        self._add("feed", feed, environment)

    def _add(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        self.processes[name] = Process(name, arguments, environment, self.folder / f"{name}.out")

    def start(self) -> None:
        """Start all."""
        for process in self.processes.values():
            process.start()

    def end(self) -> None:
        """End all by force."""
        for process in self.processes.values():
            process.end()

    def restart(self, name: str) -> None:
        """Kill one with -9 and start it again."""
        self.processes[name].kill()
        self.processes[name].start()

    def book(self, mic: str, underlying: str) -> dict[str, Any]:
        """What a venue holds of us."""
        path = self.folder / "venues" / mic / "book.json"
        found: dict[str, Any] = json.loads(path.read_bytes())[underlying] if path.exists() else {}
        return found


class StandIn:
    """Owns one underlying's partition as the group `desk` would, without any stage.

    Attributes:
        executions: Every execution report by venue and ExecID, as first seen.
        answers: Everything else that venues said, in order.
        doubled: Execution reports that came with other terms than the first time.
    """

    def __init__(self, cluster: Cluster, underlying: str, key: bytes) -> None:
        self.underlying = underlying
        self.partition = partition_of(underlying, PARTITIONS)
        self.executions: dict[tuple[int, str], e.ExecutionReported] = {}
        self.answers: list[e.Event] = []
        self.doubled: list[e.ExecutionReported] = []
        self.epoch = -1
        self.now = 0
        self.listed: e.ChainListed | None = None
        self.stock = (0, 0)
        self.quotes: dict[int, tuple[int, int]] = {}
        self._cluster = cluster
        self._sealer = Sealer(key)
        self._sequence = itertools.count(1)
        self._sent = itertools.count()
        self._names = itertools.count(1)

    async def open(self) -> None:
        """Connect and read from the beginning."""
        partitions = await verify(self._cluster)
        self.publisher = await Publisher.open(self._cluster, partitions)
        self._reader = await Reader.open(self._cluster, letters=None)
        topics = ("reference.chains", "market.underlying", "market.nbbo", "orders.reports")
        await self._reader.assign({Place(topic, self.partition): BEGIN for topic in topics})

    async def close(self) -> None:
        """Disconnect."""
        await self.publisher.close(1.0)
        await self._reader.close(1.0)

    async def claim(self) -> None:
        """Take the partition over."""
        event = OwnershipTaken(
            ts_event=self.now, ts_init=self.now, underlying="", group=GROUP, partition=self.partition, owner="stand-in"
        )
        headers = Headers("claim.stand-in", time.time_ns(), GROUP)
        self.epoch = await self.publisher.acknowledged(
            Outgoing("orders.cleared", self.partition, "", headers, encode(event))
        )

    async def beat(self) -> None:
        """Say that we live."""
        event = InputsApplied(
            ts_event=self.now, ts_init=self.now, underlying="", group=GROUP, partition=self.partition, count=0
        )
        await self._publish(event, "")

    # --- out ----------------------------------------------------------------------------------------------------------
    async def submit(self, venue: int, contract: int, side: c.Side, quantity: int, price: int) -> str:
        """Send an order that must trade or go: IOC."""
        name = f"T-{self.underlying}-{next(self._names)}"
        order = c.SubmitOrder(
            **self._stamps(), clordid=name, request_id=name, venue=venue, contract=contract, side=side,
            quantity=quantity, order_type="limit", price=price, tif="ioc", intent=c.Intent.HEDGE, party=PARTY,
            sale_marking="long" if contract == STOCK and side == "sell" else "", locate_id="",
            market_maker_exempt=False,
        )  # fmt: skip
        await self.clear(e.OrderCleared(**self._stamps(), **self._seal(), order=order))
        return name

    async def ask(self, name: str, venue: int, contract: int, side: c.Side) -> None:
        """Ask what became of an order."""
        request = c.RequestOrderStatus(
            **self._stamps(), status_id=f"{name}-S{next(self._names)}", clordid=name, venue=venue, contract=contract,
            side=side,
        )  # fmt: skip
        await self.clear(e.OrderStatusCleared(**self._stamps(), **self._seal(), request=request))

    async def quote(self, venue: int, contracts: list[int]) -> str:
        """Quote far from the market."""
        name, n = f"Q-{self.underlying}-{next(self._names)}", len(contracts)
        frame = QuoteFrame(
            venue=np.full(n, venue, np.int16),
            contract=np.array(contracts, np.int64),
            bid=np.full(n, 100, np.int64),
            bid_size=np.full(n, 1, np.int64),
            ask=np.full(n, 9_000_000, np.int64),
            ask_size=np.full(n, 1, np.int64),
        )
        stamps = self._stamps()
        await self.clear(
            e.QuotesCleared(
                **stamps, **self._seal(), quote_set_id=name, party=PARTY, quote_ts=stamps["ts_event"], frame=frame
            )
        )
        return name

    async def clear(self, clearance: e.Clearance, *, epoch: int | None = None, is_sealed: bool = True) -> None:
        """Publish a clearance as the gate seals it."""
        sealed = self._sealer.sealed(clearance) if is_sealed else clearance
        await self._publish(sealed, self.underlying, self.epoch if epoch is None else epoch)

    async def _publish(self, event: e.Event, key: str, epoch: int | None = None) -> None:
        own = self.epoch if epoch is None else epoch
        headers = Headers(f"{GROUP}.{self.partition}.{own}", next(self._sent), GROUP, own)
        await self.publisher.acknowledged(Outgoing("orders.cleared", self.partition, key, headers, encode(event)))

    def _stamps(self) -> dict[str, Any]:
        return {"ts_event": self.now, "ts_init": self.now, "underlying": self.underlying}

    def _seal(self) -> dict[str, Any]:
        return {"gate": f"gate.{self.underlying}", "sequence": next(self._sequence), "seal": ""}

    def head(self) -> dict[str, Any]:
        """What the next clearance carries beside its content."""
        return {**self._stamps(), **self._seal()}

    # --- in -----------------------------------------------------------------------------------------------------------
    async def read(self, wait_s: float = 0.05) -> None:
        """Take what is there."""
        for arrived in (await self._reader.read(500, wait_s)).messages:
            event = arrived.event
            if event.underlying != self.underlying:
                continue
            self.now = max(self.now, event.ts_event)
            match event:
                case e.ChainListed():
                    self.listed = event
                case e.UnderlyingUpdated(bid=bid, ask=ask):
                    self.stock = bid, ask
                case e.ExecutionReported():
                    self._executed(event)
                case _ if arrived.topic == "orders.reports":
                    self.answers.append(event)

    def _executed(self, event: e.ExecutionReported) -> None:
        before = self.executions.setdefault((event.venue, event.exec_id), event)
        if (before.clordid, before.last_qty, before.last_px) != (event.clordid, event.last_qty, event.last_px):
            self.doubled.append(event)

    async def until(self, condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> float:
        """Read until something is so; return the seconds that it took."""
        begun = time.monotonic()
        while not condition():
            assert time.monotonic() - begun < limit_s, f"{what}: not within {limit_s} s; {self.answers[-5:]}"
            await self.read()
        return time.monotonic() - begun

    async def ready(self, venues: tuple[int, ...]) -> None:
        """Wait until the market is open and the venues are up."""
        await self.until(lambda: self.stock[1] > 0, "no market")
        await self.until(lambda: all(self.is_up(venue) for venue in venues), "venues are not up")

    def is_up(self, venue: int) -> bool:
        """Whether the last word about a venue is that it is up."""
        said = [a.is_up for a in self.answers if isinstance(a, e.VenueStatusChanged) and a.venue == venue]
        return said[-1:] == [True]

    def trades(self, venue: int | None = None) -> list[e.ExecutionReported]:
        """Executions that moved something."""
        return [
            report
            for report in self.executions.values()
            if report.exec_type is e.ExecType.TRADE and venue in (None, report.venue)
        ]

    def of(self, clordid: str) -> list[e.ExecutionReported]:
        """Reports of an order."""
        return [report for report in self.executions.values() if report.clordid == clordid]

    def is_done(self, clordid: str) -> bool:
        """Whether the venue said how an order ended."""
        ends = (e.OrdStatus.FILLED, e.OrdStatus.CANCELED, e.OrdStatus.REJECTED, e.OrdStatus.EXPIRED)
        return any(report.ord_status in ends for report in self.of(clordid))


def cluster_of(bootstrap: str) -> Cluster:
    """A cluster without security."""
    return Cluster.of(KafkaSettings(bootstrap=bootstrap), {})


def run(work: Awaitable[None]) -> None:
    """Run one test's coroutine."""

    async def main() -> None:
        await work

    asyncio.run(main())


def letters(bootstrap: str) -> Iterator[Mapping[str, str]]:
    """Headers of the dead letters that there are."""
    found: list[Mapping[str, str]] = []

    async def read() -> None:
        fetcher = await Fetcher.open(cluster_of(bootstrap), None)
        place = Place("dead.letters", 0)
        bounds = await fetcher.bounds([place], 5.0)
        fetcher.assign({place: bounds[place][0]})
        while bounds[place][1] > len(found):
            for records in (await fetcher.fetch(100, 0.5)).values():
                found.extend(
                    {name: (value or b"").decode(errors="replace") for name, value in r.headers} for r in records
                )
        await fetcher.close(1.0)

    asyncio.run(read())
    return iter(found)
