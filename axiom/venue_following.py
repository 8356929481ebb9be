"""A venue as a process that follows the market on Kafka: one session, one book for each underlying.

It notes everything that changes a book before it applies it: market events as they came, messages of the client, the
end of a session. A process that is killed and started again repeats its notes and reads the topics on from where they
end; what it has noted it knows by source and sequence, so it applies nothing twice. Its time is the market's.

`book.json` in its folder says what it holds of us, for whoever compares books.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import signal
import time
from typing import Any, Final

import msgspec
import numpy as np
import structlog

from axiom.compose import Composer
from axiom.fix_venues import sessions_of, venue_of
from axiom.health import HealthServer
from axiom.notes import Notes
from axiom.runs import write_atomically
from axiom.settings import Settings, from_json
from axiom.standing import Standing
from axiom.telemetry import PrometheusMetrics
from axiom.venue_folder import VenueFolder
from domain.chain import Chain
from domain.codec import Encoded
from domain.errors import InputError, Unavailable
from domain.events import (
    ChainListed,
    ExecType,
    NbboUpdated,
    RunEnded,
    RunStarted,
    SessionChanged,
    TradesPrinted,
    UnderlyingTraded,
    UnderlyingUpdated,
)
from domain.events_base import Event
from domain.topics import TOPIC_OF
from fix.application import Engine
from fix.mapping import Mapper, underlying_of
from fix.served import unread
from fix.session import Happened, LoggedOn, LoggedOut, Received
from fix.venue import Note, VenueServer
from routing.misbehaviour import Misbehaving, Misbehaviour
from streams.kafka_message import Place
from streams.kafka_publisher import Publisher
from streams.kafka_reader import BEGIN, Reader
from streams.kafka_settings import Cluster
from streams.kafka_topics import verify

FOLLOWED: Final = (
    RunStarted,
    ChainListed,
    SessionChanged,
    UnderlyingUpdated,
    UnderlyingTraded,
    NbboUpdated,
    TradesPrinted,
    RunEnded,
)
_NOTE: Final = "VenueNote"
_OWN: Final = "venue|"
_LIMIT: Final = 500
_WAIT_S: Final = 0.05
_KEEP_S: Final = 1.0


class FollowingVenue:
    """One venue. `run` is its life.

    Args:
        cluster: Where Kafka is.
        mic: Which venue.
        port: Port to listen on.
        folder: Its folder.
        health_port: Of the probes; 0 takes a free one.
    """

    def __init__(self, cluster: Cluster, mic: str, port: int, folder: VenueFolder, health_port: int = 0) -> None:
        self._cluster = cluster
        self._venue = venue_of(mic)
        self._folder = folder
        self._folder.claim()
        self._health_port = health_port
        self._metrics = PrometheusMetrics()
        self._standing = Standing(f"venue {mic}")
        self._log = structlog.get_logger()
        self._notes = Notes(folder.journal)
        self._noted: dict[str, int] = {}
        self._settings: dict[str, Settings] = {}
        self._books: dict[str, Misbehaving] = {}
        self._servers: dict[str, VenueServer] = {}
        self._ended: dict[str, None] = {}
        self._has_changed = True
        self._is_up = False
        ours = sessions_of(self._venue, port)[1]
        self._engine = Engine("acceptor", [ours], wake=self._woken, event_log=folder.path / "engine")
        self._session = ours.name
        self._repeat()

    def send(self, msg_type: str, body: bytes) -> int:
        """Send to the client."""
        return self._engine.send(self._session, msg_type, body)

    async def run(self, parent: int) -> None:
        """Serve until told to stop, or until the process that started us, `parent`, is gone; 0 has none.

        Raises:
            SettingsError: Topics are not as declared.
            Unavailable: The broker is away for too long, or the port is taken.
        """
        self._loop = asyncio.get_running_loop()
        self._wake, self._stop = asyncio.Event(), asyncio.Event()
        self._loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        self._loop.add_signal_handler(signal.SIGHUP, self._told)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the one who started us
        partitions = await verify(self._cluster)
        letters = await Publisher.open(self._cluster, partitions, self._metrics)
        name = f"venue.{self._venue.mic}.offsets"
        self._reader = await Reader.open(self._cluster, letters=letters, group=name, metrics=self._metrics)
        self._reader.wanted = frozenset(kind.__name__ for kind in FOLLOWED)
        places = [
            Place(topic, number)
            for topic in dict.fromkeys(TOPIC_OF[kind].name for kind in FOLLOWED)
            for number in range(partitions[topic])
        ]
        # A folder that is new has seen nothing, whatever another one committed.
        committed = {} if self._notes.is_new else await self._reader.committed(places)
        await self._reader.assign({place: committed.get(place, BEGIN) for place in places})
        self._engine.start()
        standing = self._standing
        health = HealthServer(
            self._health_port, live=standing.live, ready=standing.ready, registry=self._metrics.registry
        )
        health.start()
        self._folder.say_ready(os.getpid())
        self._log.info("venue.started", venue=self._venue.mic, health_port=health.port, underlyings=[*self._servers])
        tasks = [asyncio.create_task(work) for work in (self._follow(), self._serve(), self._keep(parent))]
        stopping = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.gather(*tasks, stopping, return_exceptions=True)
        self._write_books()
        await asyncio.to_thread(self._engine.stop, 2.0)
        with contextlib.suppress(Unavailable):
            await self._reader.commit(self._reader.positions, 1.0)
        await self._reader.close(1.0)
        await letters.close(1.0)
        self._notes.close()
        failed = next((task.exception() for task in done if task is not stopping and not task.cancelled()), None)
        if failed is not None:
            raise failed

    # --- the market ---------------------------------------------------------------------------------------------------
    async def _follow(self) -> None:
        while True:
            batch = await self._reader.read(_LIMIT, _WAIT_S)
            for gap in batch.gaps:
                self._log.error("market.expired", place=str(gap.place), expected=gap.expected, found=gap.found)
            # Topics come one after the other: what came together is put in the order in which it was published.
            for arrived in sorted(
                batch.messages, key=lambda a: (a.event.ts_event, a.headers.source, a.headers.sequence)
            ):
                source, sequence = f"{arrived.topic}|{arrived.headers.source}", arrived.headers.sequence
                if sequence > self._noted.get(source, -1):
                    self._notes.note(source, sequence, arrived.message)
                    self._noted[source] = sequence
                    self._apply(arrived.event)
            self._standing.beat()
            await asyncio.sleep(0)

    def _apply(self, event: Event, *, is_repeat: bool = False) -> None:
        self._has_changed = True
        underlying = event.underlying
        if isinstance(event, RunStarted):
            self._settings[underlying] = from_json(event.settings)
        elif isinstance(event, ChainListed):
            self._list(event, is_repeat=is_repeat)
        elif isinstance(event, RunEnded):
            self._ended[underlying] = None
        elif (server := self._servers.get(underlying)) is not None:
            server.repeat_one(event) if is_repeat else server.follow(event)

    def _list(self, listed: ChainListed, *, is_repeat: bool) -> None:
        settings = self._settings.get(listed.underlying)
        if settings is None or listed.underlying in self._servers:
            self._log.error("chain.refused", underlying=listed.underlying, has_run=settings is not None)
            return
        chain = Chain(listed.underlying, dt.date.fromisoformat(listed.trade_date), listed.contracts)
        book = self._books[chain.underlying] = Composer().told(self._venue, chain, settings, listed)
        server = self._servers[chain.underlying] = VenueServer(
            book,
            Mapper(chain, self._venue.index, max_entries=settings.run.max_entries),
            self,
            market=None,
            note=lambda note: self._note(chain.underlying, note),
            behave=lambda behaviour: book.behave(msgspec.json.decode(behaviour, type=Misbehaviour)),
            report=self._report,
        )
        if self._is_up and not is_repeat:
            server.handle(LoggedOn(session=self._session, at=time.time_ns(), next_sent=0, next_expected=0))

    # --- the session --------------------------------------------------------------------------------------------------
    async def _serve(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            for happened in self._engine.drain():
                self._handle(happened)

    def _handle(self, happened: Happened) -> None:
        self._has_changed = True
        if isinstance(happened, LoggedOn):
            self._is_up = True
        elif isinstance(happened, LoggedOut):
            self._is_up = False
        if not isinstance(happened, Received):
            for server in self._servers.values():
                server.handle(happened)
            return
        underlying = underlying_of(happened.raw)
        if underlying in self._servers:
            self._servers[underlying].handle(happened)
            return
        error = InputError("the chain is not listed here", field="underlying", value=underlying)
        with contextlib.suppress(Unavailable):
            for body in unread(happened.raw, error):
                self.send(body.msg_type, body.fields)

    def _woken(self) -> None:
        with contextlib.suppress(RuntimeError, AttributeError):  # the loop has ended, or has not begun
            self._loop.call_soon_threadsafe(self._wake.set)

    # --- notes --------------------------------------------------------------------------------------------------------
    def _note(self, underlying: str, note: Note) -> None:
        source = f"{_OWN}{underlying}"
        number = self._noted.get(source, -1) + 1
        self._noted[source] = number
        self._notes.note(source, number, Encoded(_NOTE, 1, msgspec.json.encode(note)))

    def _repeat(self) -> None:
        """Apply what was noted before the process died."""
        for record in self._notes.records():
            self._noted[record.source] = record.offset
            if record.message.schema == _NOTE:
                note = msgspec.json.decode(record.message.payload, type=Note)
                self._servers[record.source.removeprefix(_OWN)].repeat_one(note)
            else:
                self._apply(record.event(), is_repeat=True)
        for server in self._servers.values():
            server.repeated()

    async def _keep(self, parent: int) -> None:
        while parent in {0, os.getppid()}:
            await asyncio.sleep(_KEEP_S)
            if self._has_changed:
                self._has_changed = False
                self._write_books()
            with contextlib.suppress(Unavailable):  # tried again in a second; notes tell what was applied
                await self._reader.commit(self._reader.positions)
        self._stop.set()

    def _write_books(self) -> None:
        books = {name: self._book(name) for name in self._servers}
        write_atomically(self._folder.path / "book.json", msgspec.json.encode(books))

    def _book(self, underlying: str) -> dict[str, Any]:
        """What it holds of us, as plain data."""
        book, server = self._books[underlying], self._servers[underlying]
        contracts, stock = book.positions()
        trades = [report.exec_id for report in server.executions if report.exec_type == ExecType.TRADE]
        resting = book.resting()
        return {
            "contracts": {str(index): int(contracts[index]) for index in np.flatnonzero(contracts).tolist()},
            "stock": stock,
            "cash": book.cash(),
            "trades": trades,
            "resting_quotes": len(resting.quotes),
            "resting_orders": len(resting.orders),
            "has_ended": underlying in self._ended,
        }

    # --- people -------------------------------------------------------------------------------------------------------
    def _told(self) -> None:
        try:
            behaviour = self._folder.behaviour.read_bytes()
            msgspec.json.decode(behaviour, type=Misbehaviour)
        except (OSError, msgspec.MsgspecError, InputError) as error:
            self._report("venue.behaviour_refused", {"error": str(error)})
            return
        for server in self._servers.values():
            server.tell(behaviour)

    def _report(self, what: str, fields: dict[str, object]) -> None:
        self._log.warning(what, venue=self._venue.mic, **fields)
