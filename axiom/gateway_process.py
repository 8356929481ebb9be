"""The gateway as a process: clearances from Kafka to FIX sessions, answers back, and nothing sent twice.

One loop does everything in turn: the sessions' threads only wake it. Order of things for a clearance: fence, seal,
record, send; its position on the topic is committed after that. Answers are published in the order in which they came.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import signal
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from axiom.fix_venues import sessions_of, venue_of
from axiom.gateway_options import GatewayOptions
from axiom.gateway_record import GatewayRecord
from axiom.health import HealthServer
from axiom.settings import from_json
from axiom.standing import Standing
from axiom.telemetry import PrometheusMetrics
from domain.chain import Chain
from domain.codec import encode
from domain.errors import AxiomError, ClearanceRefused, InputError, Unavailable
from domain.events import ChainListed, Clearance, RunStarted
from domain.ownership_events import InputsApplied, OwnershipTaken
from domain.partitioning import partition_of
from fix.application import Engine
from fix.gateway import Gateway, Owner, Watch
from fix.venue_line import Said
from fix.wire import Body
from risk.seal import Sealer
from routing.venues import SIMULATED
from streams.groups import GROUPS
from streams.kafka_message import DeadLetter, Place, pack
from streams.kafka_publisher import Publisher
from streams.kafka_reader import BEGIN, Reader
from streams.kafka_topics import verify
from streams.messages import Arrived, Outgoing

CLEARED: Final = "orders.cleared"
REPORTS: Final = "orders.reports"
CHAINS: Final = "reference.chains"
OFFSETS: Final = "gateway.offsets"
"""Under this name positions are committed."""

ACTING: Final = frozenset(group.name for group in GROUPS.values() if group.effects == CLEARED)
"""The groups whose clearances count."""

_LIMIT: Final = 500
_WAIT_S: Final = 0.1
_TICK_S: Final = 0.05
_BUSY_TICK_S: Final = 0.002
_KEEP_S: Final = 1.0
_FULL: Final = 5_000
"""So many answers may wait for the broker; then no more clearances are taken."""


class GatewayProcess:
    """One gateway. `run` is its life."""

    def __init__(self, options: GatewayOptions) -> None:
        self._options = options
        self._metrics = PrometheusMetrics()
        self._log = structlog.get_logger()
        self._record = GatewayRecord(options.data)
        sessions = {mic: sessions_of(venue_of(mic), port, host)[0] for mic, (host, port) in options.venues.items()}
        self._sessions = {mic: session.name for mic, session in sessions.items()}
        self._engine = Engine("initiator", tuple(sessions.values()), wake=self._woken, event_log=options.data / "fix")
        self._watch = Watch(options.settings.dead_man_ms * 1e-3)
        self._outbox: deque[Said] = deque()
        self._standing = Standing("gateway")
        self._entries: dict[str, int] = {}
        self._broker = ""
        self._dealt_with: dict[Place, int] = {}
        self._sending: Arrived | None = None

    def send(self, session: str, body: Body) -> int:
        """Send on a session."""
        return self._engine.send(session, body.msg_type, body.fields)

    async def run(self) -> None:
        """Work until told to stop (SIGTERM, SIGINT); then pull every quote, log out, and tell the desk.

        Raises:
            InputError: The record of what was sent is gone though there is one on the broker.
            SettingsError: Topics are not as declared.
            Unavailable: The broker is away for too long.
        """
        self._loop = asyncio.get_running_loop()
        self._wake, self._stop, self._room, self._answers = (asyncio.Event() for _ in range(4))
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        await self._connect()
        self._engine.start()
        standing = self._standing
        health = HealthServer(
            self._options.health_port, live=standing.live, ready=standing.ready, registry=self._metrics.registry
        )
        health.start()
        self._log.info("gateway.started", health_port=health.port, starts=self._starts, sessions=list(self._sessions))
        tasks = [
            asyncio.create_task(work, name=name)
            for name, work in (
                ("clearances", self._clearances()),
                ("sessions", self._follow_sessions()),
                ("answers", self._publish()),
                ("clock", self._clock()),
                ("record", self._keep()),
            )
        ]
        stopping = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        failed = next((task.exception() for task in done if task is not stopping), None)
        try:
            async with asyncio.timeout(self._options.deadline_s):
                await self._end(tasks)
        except TimeoutError:
            self._log.warning("gateway.ended_late", deadline_s=self._options.deadline_s)
        if failed is not None:
            raise failed

    # --- the start ----------------------------------------------------------------------------------------------------
    async def _connect(self) -> None:
        cluster, options = self._options.cluster, self._options
        self._partitions = await verify(cluster)
        self._count = self._partitions[CLEARED]
        self._publisher = await Publisher.open(cluster, self._partitions, self._metrics)
        self._reports = await Reader.open(cluster, letters=self._publisher, metrics=self._metrics)
        self._reader = await Reader.open(cluster, letters=self._publisher, group=OFFSETS, metrics=self._metrics)
        self._references = await Reader.open(cluster, letters=self._publisher, metrics=self._metrics)
        places = [Place(CLEARED, number) for number in range(self._count)]
        committed = await self._reader.committed(places)
        if self._record.is_new and any(committed.values()):
            raise InputError(
                "the record of what was sent is gone: what the broker holds cannot be told from what was sent",
                field="data",
                value=str(options.data),
                positions={str(place): offset for place, offset in committed.items()},
            )
        reports = [Place(REPORTS, number) for number in range(self._count)]
        await self._reports.assign({place: self._record.start(place) for place in reports})
        while any((await self._reports.lag()).values()):
            for arrived in (await self._reports.read(_LIMIT, _WAIT_S)).messages:
                self._record.told(arrived)
        self._starts = self._record.begin()
        self._gateway = Gateway(
            SIMULATED,
            self._sessions,
            self,
            Sealer(options.key),
            options.settings,
            prefix=f"GW{self._starts}",
            note=self._note,
            report=self._report,
            last=self._record.last,
        )
        await self._references.assign({Place(CHAINS, number): BEGIN for number in range(self._count)})
        await self._read_references()
        await self._reader.assign({place: committed.get(place, BEGIN) for place in places})
        self._standing.needs("sessions", self._sessions_down)
        self._standing.needs("broker", lambda: self._broker)
        self._standing.tells("sent", lambda: self._gateway.counts.sent)
        self._standing.tells("pulled", lambda: self._gateway.counts.pulled)

    async def _read_references(self) -> None:
        """Take the chains that were listed since the last time."""
        while any((await self._references.lag()).values()):
            for arrived in (await self._references.read(_LIMIT, _WAIT_S)).messages:
                event = arrived.event
                if isinstance(event, RunStarted):
                    self._entries[event.underlying] = from_json(event.settings).run.max_entries
                elif isinstance(event, ChainListed):
                    chain = Chain(event.underlying, dt.date.fromisoformat(event.trade_date), event.contracts)
                    known = self._record.known.get(event.underlying, {})
                    entries = self._entries.get(event.underlying, 1_000)
                    self._say(self._gateway.open(chain, event.ts_event, entries, known, time.monotonic()))

    # --- clearances ---------------------------------------------------------------------------------------------------
    async def _clearances(self) -> None:
        while True:
            if len(self._outbox) > _FULL:
                self._room.clear()
                await self._room.wait()
            batch = await self._reader.read(_LIMIT, _WAIT_S)
            for gap in batch.gaps:
                self._log.error("clearances.expired", place=str(gap.place), expected=gap.expected, found=gap.found)
            # A position is committed when its whole batch has been dealt with: a kill in between takes it again.
            letters = [letter for arrived in batch.messages if (letter := await self._take(arrived)) is not None]
            if letters:
                await self._publisher.bury(letters)
            self._dealt_with = dict(self._reader.positions)
            self._standing.beat()

    async def _take(self, arrived: Arrived) -> DeadLetter | None:
        """Deal with one message of `orders.cleared`; what may not be sent comes back as a dead letter."""
        headers, event, now = arrived.headers, arrived.event, time.monotonic()
        owner = Owner(headers.group, arrived.partition)
        fence = self._record.fence(arrived.partition)
        if isinstance(event, OwnershipTaken):
            self._taken(owner, arrived, event.owner, now)
            return None
        if headers.group in ACTING and not fence.admits(headers):
            self._log.warning(
                "clearance.of_a_replaced_owner",
                source=headers.source,
                epoch=headers.epoch,
                place=f"{arrived.topic}-{arrived.partition}@{arrived.offset}",
            )
            return None
        if headers.group in ACTING:
            self._watch.heard(owner, now)
        if isinstance(event, InputsApplied):
            return None
        try:
            await self._send(arrived, now)
        except ClearanceRefused as refused:
            self._log.error(
                "clearance.refused", place=f"{arrived.topic}-{arrived.partition}@{arrived.offset}", **refused.fields
            )
            if (
                refused.fields.get("why") == "sequence not issued"
            ):  # one is missing: what stands there is not ours to judge
                self._say(self._gateway.pull(event.underlying, "a clearance is missing"))
            return _letter(arrived, refused)
        return None

    async def _send(self, arrived: Arrived, now: float) -> None:
        clearance = arrived.event
        if not isinstance(clearance, Clearance):
            raise ClearanceRefused(why="no clearance", type=type(clearance).__name__)
        if arrived.headers.group not in ACTING:
            raise ClearanceRefused(why="no owner of a partition sent it", source=arrived.headers.source)
        if clearance.underlying not in self._gateway.underlyings:
            await self._read_references()
        self._sending = arrived
        self._say(self._gateway.send(clearance, now))

    def _taken(self, owner: Owner, arrived: Arrived, name: str, now: float) -> None:
        fence = self._record.fence(owner.partition)
        if arrived.offset <= fence.epochs.get(owner.group, -1):
            return  # read again after a restart
        self._record.owned(owner, arrived.offset)
        self._watch.heard(owner, now)
        self._log.info("owner.changed", group=owner.group, partition=owner.partition, epoch=arrived.offset, owner=name)
        for underlying in self._underlyings_of(owner):
            self._say(self._gateway.changed_owner(underlying))

    def _underlyings_of(self, owner: Owner) -> list[str]:
        return [name for name in self._gateway.underlyings if partition_of(name, self._count) == owner.partition]

    def _note(self, clearance: Clearance) -> None:
        if self._sending is not None:
            self._record.sending(clearance, self._sending)

    # --- sessions and time --------------------------------------------------------------------------------------------
    async def _follow_sessions(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._drain()

    def _drain(self) -> None:
        for happened in self._engine.drain():
            self._say(self._gateway.handle(happened, time.monotonic()))

    def _woken(self) -> None:
        with contextlib.suppress(RuntimeError, AttributeError):  # the loop has ended, or has not begun
            self._loop.call_soon_threadsafe(self._wake.set)

    async def _clock(self) -> None:
        while True:
            await asyncio.sleep(_BUSY_TICK_S if self._gateway.is_waiting else _TICK_S)
            now = time.monotonic()
            self._say(self._gateway.tick(now))
            for owner in self._watch.fallen_silent(now):
                self._log.warning("owner.silent", group=owner.group, partition=owner.partition)
                for underlying in self._underlyings_of(owner):
                    self._say(self._gateway.pull(underlying, "the owner is silent"))

    # --- answers ------------------------------------------------------------------------------------------------------
    def _say(self, said: Sequence[Said]) -> None:
        if said:
            self._outbox.extend(said)
            self._answers.set()

    async def _publish(self) -> None:
        while True:
            await self._answers.wait()
            self._answers.clear()
            await self._publish_all()

    async def _publish_all(self) -> None:
        while self._outbox:
            mic, event, is_own = self._outbox.popleft()
            headers = self._record.headers(mic, event, is_own=is_own)
            await self._publisher.publish(Outgoing(REPORTS, None, event.underlying, headers, encode(event)))
        self._room.set()

    # --- the record ---------------------------------------------------------------------------------------------------
    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_KEEP_S)
            await self._read_references_or_wait()
            await self._checkpoint()
            self._engine.check_stores()

    async def _read_references_or_wait(self) -> None:
        try:
            await self._read_references()
            self._broker = ""
        except Unavailable as error:
            self._broker = str(error)

    async def _checkpoint(self) -> None:
        """Keep what the desk was told and commit what was dealt with; tried again a second later where it fails."""
        dealt_with = self._dealt_with
        try:
            lag = await self._reports.lag()
            ends = {place: offset + lag[place] for place, offset in self._reports.positions.items()}
            captured = self._record.capture()
            await self._publisher.flush()
            self._record.save(captured, ends)
            await self._reader.commit(dealt_with)
        except Unavailable as error:
            if self._publisher.failure is not None:
                raise
            self._broker = str(error)

    # --- the end ------------------------------------------------------------------------------------------------------
    async def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Stop taking clearances, pull, wait for the answers, log out, tell the desk."""
        tasks[0].cancel()
        for underlying in self._gateway.underlyings:
            self._say(self._gateway.pull(underlying, "the gateway ends"))
        await asyncio.sleep(_TICK_S * 4)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._engine.stop, self._options.deadline_s / 3)
        self._drain()
        with contextlib.suppress(Unavailable):
            await self._publish_all()
            await self._checkpoint()
        await self._publisher.close(1.0)
        for reader in (self._reader, self._reports, self._references):
            await reader.close(0.5)
        self._record.close()
        self._log.info("gateway.ended", sent=self._gateway.counts.sent, refused=self._gateway.counts.refused)

    def _sessions_down(self) -> str:
        return ", ".join(f"{line.venue.mic}: {line.reason}" for line in self._gateway.lines.values() if line.reason)

    def _report(self, what: str, fields: Mapping[str, object]) -> None:
        is_trouble = what.startswith("gateway.") or what.endswith(("down", "refused"))
        (self._log.warning if is_trouble else self._log.info)(what, **fields)


def _letter(arrived: Arrived, refused: AxiomError) -> DeadLetter:
    key = arrived.event.underlying
    headers = pack(Outgoing(arrived.topic, arrived.partition, key, arrived.headers, arrived.message))
    return DeadLetter(
        reason="clearance refused",
        error=str(refused),
        place=Place(arrived.topic, arrived.partition),
        offset=arrived.offset,
        key=key.encode(),
        payload=arrived.message.payload,
        headers=headers,
    )
