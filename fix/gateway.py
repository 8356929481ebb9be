"""Order entry: what the risk gate let through goes to the venues, and what they answer comes back.

Sans broker: clearances come in as values, answers go out as values (`Said`), `axiom.gateway_process` carries them.

- Nothing leaves without a good seal, out of its gate's sequence, or twice: a clearance is noted for good before it is
  sent, and what was noted is never sent again, whatever became of it. The desk asks about orders without an answer.
- Nothing leaves for a venue that is not logged on and caught up (`fix.venue_line`).
- The quotes of an underlying whose owner changed or fell silent are pulled (`Watch`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from domain.chain import Chain
from domain.commands import CancelQuotes, Outbound, PlaceQuotes, ReplaceOrder, SubmitOrder
from domain.errors import ClearanceRefused, InputError
from domain.events import Clearance
from fix.mapping import Mapper, command_of
from fix.session import Happened
from fix.throttle import Throttle
from fix.venue_line import Known, Link, Report, Said, VenueLine
from risk.seal import ClearanceLedger, Sealer
from routing.venues import VenueTable

_REPEATED: Final = "sequence repeated"


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the gateway sends.

    Attributes:
        messages_per_s: Messages per second and session.
        burst: Messages that may leave at once after a rest.
        max_wait_ms: An order or quote that waited so long for its turn is refused.
        dead_man_ms: An owner who says nothing for so long is dead: his quotes are pulled.

    Raises:
        InputError: A value is not positive.
    """

    messages_per_s: int = 2_000
    burst: int = 500
    max_wait_ms: int = 1_000
    dead_man_ms: int = 3_000

    def __post_init__(self) -> None:
        """Refuse what never sends."""
        for name in ("messages_per_s", "burst", "max_wait_ms", "dead_man_ms"):
            if getattr(self, name) < 1:
                raise InputError("must be positive", field=f"gateway.{name}", value=getattr(self, name))


class Counts(msgspec.Struct):
    """What was sent since the process began."""

    sent: int = 0
    repeated: int = 0
    refused: int = 0
    pulled: int = 0


class Gateway:
    """All sessions.

    Args:
        venues: The venues.
        sessions: Name of the session of each venue, by MIC; venues without one are never reached.
        link: Where messages leave.
        sealer: Verifies seals.
        settings: How it sends.
        prefix: Begins the identifiers of its own messages; never used before.
        note: Keeps for good that a clearance is sent now.
        report: Tells people.
        last: The last sequence number noted of each gate.
    """

    def __init__(
        self,
        venues: VenueTable,
        sessions: Mapping[str, str],
        link: Link,
        sealer: Sealer,
        settings: GatewaySettings,
        *,
        prefix: str,
        note: Callable[[Clearance], None],
        report: Report,
        last: Mapping[str, int],
    ) -> None:
        self.counts = Counts()
        self._ledger = ClearanceLedger(sealer)
        for gate, sequence in last.items():
            self._ledger.resume(gate, sequence)
        self._note = note
        self._report = report
        self._names = itertools.count(1)
        self._prefix = prefix
        self.lines = {
            venue.index: VenueLine(
                venue,
                sessions[venue.mic],
                link,
                Throttle(settings.messages_per_s, settings.burst),
                max_wait_s=settings.max_wait_ms * 1e-3,
                name=self._name,
                report=report,
            )
            for venue in venues
            if venue.mic in sessions
        }
        self._by_session = {line.session: line for line in self.lines.values()}
        self.underlyings: dict[str, None] = {}
        self._greeted: dict[str, None] = {}

    def open(self, chain: Chain, ts: int, max_entries: int, known: Mapping[str, Known], now: float) -> list[Said]:
        """Begin with an underlying; once for each.

        Args:
            chain: Its contracts.
            ts: Event time of the listing.
            max_entries: Quote entries in one message at most.
            known: What venues said of it before this process began, by MIC.
            now: The monotonic clock, seconds.
        """
        if chain.underlying in self.underlyings:
            return []
        self.underlyings[chain.underlying] = None
        said: list[Said] = []
        for line in self.lines.values():
            mapper = Mapper(chain, line.venue.index, max_entries=max_entries)
            said += line.open(mapper, ts, known.get(line.venue.mic), now)
        return said

    # --- commands -----------------------------------------------------------------------------------------------------
    def send(self, clearance: Clearance, now: float) -> list[Said]:
        """Send what the gate let through, each clearance once.

        Raises:
            ClearanceRefused: The gate did not issue it, one before it is missing, or it names a venue or an underlying
                that there is not. Nothing left.
        """
        try:
            if clearance.gate != f"gate.{clearance.underlying}":
                raise ClearanceRefused(why="gate of another underlying", gate=clearance.gate)
            command = command_of(clearance)
            targets = self._targets(command)
            self._ledger.admit(clearance)
        except ClearanceRefused as refused:
            if refused.fields.get("why") == _REPEATED:
                self.counts.repeated += 1
                return []
            self.counts.refused += 1
            raise
        except InputError as error:
            self.counts.refused += 1
            raise ClearanceRefused(why="no outbound message", error=str(error)) from error
        self._note(clearance)
        self.counts.sent += 1
        said: list[Said] = []
        if (
            command.underlying not in self._greeted
        ):  # its stages exist now: what was said before may not have been heard
            self._greeted[command.underlying] = None
            said = [each for line in self.lines.values() for each in line.told_again(command.underlying)]
        if isinstance(command, SubmitOrder | ReplaceOrder):
            self._report("order.sent", {"clordid": command.clordid, "venue": command.venue, "gate": clearance.gate})
        return [*said, *(each for line in targets for each in line.submit(command, now))]

    def _targets(self, command: Outbound) -> Sequence[VenueLine]:
        if command.underlying not in self.underlyings:
            raise ClearanceRefused(why="chain is not listed", underlying=command.underlying)
        if isinstance(command, PlaceQuotes):
            wanted: Sequence[int] = np.unique(command.frame.venue).tolist()
        elif command.venue == -1:
            is_quote = isinstance(command, CancelQuotes)
            wanted = [index for index, line in self.lines.items() if line.venue.is_market_maker or not is_quote]
        else:
            wanted = (command.venue,)
        for venue in wanted:
            if venue not in self.lines:
                raise ClearanceRefused(why="no session with the venue", venue=venue)
        return [self.lines[venue] for venue in wanted]

    # --- sessions and time --------------------------------------------------------------------------------------------
    def handle(self, happened: Happened, now: float) -> list[Said]:
        """Take what the engine tells; a failure that names no session concerns all."""
        line = self._by_session.get(happened.session)
        return [said for each in ([line] if line else self.lines.values()) for said in each.handle(happened, now)]

    def tick(self, now: float) -> list[Said]:
        """Do what time brings. To be called every few milliseconds while something waits."""
        return [said for line in self.lines.values() for said in line.tick(now)]

    @property
    def is_waiting(self) -> bool:
        """Whether a throttle holds something back."""
        return any(line.waiting for line in self.lines.values())

    def changed_owner(self, underlying: str) -> list[Said]:
        """Pull what the owner before it quoted, and say again which venues are up once the new one is heard."""
        self._greeted.pop(underlying, None)
        return self.pull(underlying, "a new owner")

    def pull(self, underlying: str, reason: str) -> list[Said]:
        """Pull the quotes of an underlying everywhere, and refuse those that have not left."""
        said: list[Said] = []
        asked = []
        for line in self.lines.values():
            said += line.give_up_quotes(underlying, reason)
            if line.pull(underlying, reason):
                asked.append(line.venue.mic)
        self.counts.pulled += 1
        self._report("quotes.pulled", {"underlying": underlying, "venues": asked, "reason": reason})
        return said

    def _name(self) -> str:
        return f"{self._prefix}-{next(self._names)}"


class Owner(NamedTuple):
    """Whose quotes may rest: a group of stages on a partition."""

    group: str
    partition: int


class Watch:
    """The dead-man's switch: which owners were heard, and which are silent for too long.

    Args:
        dead_man_s: Silence after which an owner is dead.
    """

    def __init__(self, dead_man_s: float) -> None:
        self._dead_man_s = dead_man_s
        self._heard: dict[Owner, float] = {}
        self._dead: dict[Owner, None] = {}

    def heard(self, owner: Owner, now: float) -> None:
        """He said something that counts."""
        self._heard[owner] = now
        self._dead.pop(owner, None)

    def fallen_silent(self, now: float) -> list[Owner]:
        """Owners who are silent for too long since the last call; each is told once until he is heard again."""
        found = [
            owner for owner, last in self._heard.items() if now - last >= self._dead_man_s and owner not in self._dead
        ]
        self._dead.update(dict.fromkeys(found))
        return found
