"""The venues of a run over FIX: a process and a session for each, and the ports through which the run reaches them."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import structlog

from axiom.fleet import Fleet
from axiom.runs import RunFolder
from axiom.settings import Settings
from domain.chain import Chain
from domain.errors import InputError
from domain.events import ChainListed
from fix.links import Links
from fix.mapping import Mapper
from fix.remote_venue import RemoteVenue
from fix.session import SessionSettings
from routing.exchange import MARKET_OF
from routing.misbehaviour import Misbehaviour
from routing.venues import SIMULATED, Venue, VenueTable
from streams.direct import VenuePort

CLIENT: Final = "AXIOM"
LOOPBACK: Final = "127.0.0.1"
_HEARTBEAT_S: Final = 10


def venue_of(mic: str) -> Venue:
    """The venue of a MIC.

    Raises:
        InputError: There is none.
    """
    found = next((venue for venue in SIMULATED if venue.mic == mic), None)
    if found is None:
        raise InputError("unknown venue", field="mic", value=mic, known=", ".join(venue.mic for venue in SIMULATED))
    return found


def sessions_of(venue: Venue, port: int, host: str = LOOPBACK) -> tuple[SessionSettings, SessionSettings]:
    """Both sides of the session with a simulated venue at `host`: ours and the venue's."""
    common: dict[str, Any] = {"port": port, "heartbeat_s": _HEARTBEAT_S, "reset_on_logon": True}
    return (
        SessionSettings(sender=CLIENT, target=venue.mic, host=host, **common),
        SessionSettings(sender=venue.mic, target=CLIENT, **common),
    )


class FixVenues:
    """Processes, sessions and ports.

    Args:
        run: Folder of the run.
        settings: Of the run.
        listed: The chain.
        venues: Which venues.
    """

    def __init__(self, run: RunFolder, settings: Settings, listed: ChainListed, venues: VenueTable = SIMULATED) -> None:
        self._settings = settings
        self._venues = venues
        self._chain = Chain(listed.underlying, dt.date.fromisoformat(listed.trade_date), listed.contracts)
        self._fleet = Fleet(run, tuple(venues))
        self._sessions = {venue.mic: sessions_of(venue, self._fleet.ports[venue.mic])[0] for venue in venues}
        self._links = Links(tuple(self._sessions.values()), run.path / "fix")

    def ports(self, *, is_resumed: bool) -> tuple[VenuePort, ...]:
        """Start everything and connect.

        Args:
            is_resumed: Whether the run goes on: sessions are then taken up when its journal has been repeated.

        Raises:
            Unavailable: A process does not come up, or a session.
        """
        self._fleet.start()
        self._links.start()
        ports = []
        for venue in self._venues:
            told = self._settings.misbehaviour.get(venue.mic, Misbehaviour())
            remote = RemoteVenue(
                self._links,
                self._sessions[venue.mic].name,
                Mapper(self._chain, venue.index, max_entries=self._settings.run.max_entries),
                latency_ns=venue.latency_ns + told.delay_ns,
                follows=MARKET_OF[venue.kind],
                report=_report,
            )
            if not is_resumed:
                remote.connect()
            ports.append(VenuePort(venue.mic, venue.is_market_maker, remote.latency_ns, remote, remote))
        return tuple(ports)

    def stop(self) -> None:
        """Log out, and end the processes."""
        self._links.stop()
        self._fleet.stop()


def _report(what: str, fields: dict[str, object]) -> None:
    structlog.get_logger().warning(what, **fields)
