"""A venue as a process of its own: the same exchange as in process, the same recording, behind a FIX acceptor.

It ends when it is told to (SIGTERM) or when the process that started it is gone. SIGHUP makes it read its
`behaviour.json` and misbehave from then on as that says.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import structlog

from axiom.compose import Composer
from axiom.fix_venues import sessions_of, venue_of
from axiom.launch import first_chain, open_recording
from axiom.runs import RunFolder
from axiom.settings import from_json
from axiom.venue_folder import VenueFolder
from domain.chain import Chain
from domain.codec import Encoded
from domain.errors import InputError
from domain.events import Event
from fix.application import Engine, leave
from fix.mapping import Mapper
from fix.venue import Note, VenueServer
from routing.misbehaviour import Misbehaviour
from streams.embedded import MARKET
from streams.journal import JournalReader, JournalTail, JournalWriter, Kind, segments
from streams.recorded import Recording

_SCHEMA: Final = "VenueNote"
_TICK_S: Final = 0.25


def market_of(recording: Recording) -> Iterator[Event]:
    """The market events of a recording, in order: each is one step of a venue's clock."""
    last: dict[str, int] = {}
    for item in recording.items():
        if isinstance(item.event, MARKET) and item.event.ts_event >= last.get(item.source, 0):
            last[item.source] = item.event.ts_event
            yield item.event


class VenueProcess:
    """One venue of one run.

    Args:
        run: Folder of the run: its configuration says which market and which behaviour.
        mic: Which venue.
        port: Loopback port to listen on.
    """

    def __init__(self, run: RunFolder, mic: str, port: int) -> None:
        self._folder = VenueFolder(run.path, mic)
        self._folder.claim()
        config = run.config()
        settings = from_json(config.settings)
        recording = open_recording(config, settings)
        listed = first_chain(recording)
        venue = venue_of(mic)
        chain = Chain(listed.underlying, dt.date.fromisoformat(listed.trade_date), listed.contracts)
        self._book = Composer().told(venue, chain, settings, listed)
        self._wake = threading.Event()
        self._should_stop = False
        self._is_told = False
        ours = sessions_of(venue, port)[1]
        self._engine = Engine("acceptor", [ours], wake=self._wake.set, event_log=self._folder.path / "engine")
        self._session = ours.name
        notes = self._open_journal()
        self._server = VenueServer(
            self._book,
            Mapper(chain, venue.index, max_entries=settings.run.max_entries),
            self,
            market=market_of(recording),
            note=self._keep,
            behave=self._behave,
            report=self._report,
        )
        self._server.repeat(notes)

    def send(self, msg_type: str, body: bytes) -> int:
        """Send to the client."""
        return self._engine.send(self._session, msg_type, body)

    def serve(self, parent: int) -> None:
        """Serve until told to stop, or until the process that started us, `parent`, is gone; 0 has none."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is for the run: it cancels quotes first
        signal.signal(signal.SIGHUP, self._tell)
        self._engine.start()
        self._folder.say_ready(os.getpid())
        while not self._should_stop and parent in {0, os.getppid()}:
            self._wake.wait(_TICK_S)
            self._wake.clear()
            if self._is_told:
                self._is_told = False
                self._told()
            for happened in self._engine.drain():
                self._server.handle(happened)
        self._engine.stop()
        self._journal.close()

    # --- inside -------------------------------------------------------------------------------------------------------
    def _open_journal(self) -> list[Note]:
        folder = self._folder.journal
        tail = None
        if segments(folder):
            _, tail, _ = JournalTail.cut_after_last_input(folder)
        notes = [msgspec.json.decode(r.message.payload, type=Note) for r in JournalReader(folder)] if tail else []
        self._journal = (
            JournalWriter(folder, next_sequence=tail.next_sequence, chain=tail.chain) if tail else JournalWriter(folder)
        )
        self._noted = len(notes)
        return notes

    def _keep(self, note: Note) -> None:
        self._journal.append(Kind.INPUT, note.kind, self._noted, Encoded(_SCHEMA, 1, msgspec.json.encode(note)))
        self._journal.seal()
        self._noted += 1

    def _behave(self, behaviour: bytes) -> None:
        self._book.behave(msgspec.json.decode(behaviour, type=Misbehaviour))

    def _told(self) -> None:
        try:
            behaviour = self._folder.behaviour.read_bytes()
            msgspec.json.decode(behaviour, type=Misbehaviour)
        except (OSError, msgspec.MsgspecError, InputError) as error:
            self._report("venue.behaviour_refused", {"error": str(error)})
            return
        self._server.tell(behaviour)

    def _stop(self, *_: object) -> None:
        self._should_stop = True
        self._wake.set()

    def _tell(self, *_: object) -> None:
        self._is_told = True
        self._wake.set()

    @staticmethod
    def _report(what: str, fields: dict[str, object]) -> None:
        structlog.get_logger().warning(what, **fields)


def main(run: Path, mic: str, port: int, parent: int) -> None:
    """Be a venue; does not return."""
    VenueProcess(RunFolder(run), mic, port).serve(parent)
    leave(0)
