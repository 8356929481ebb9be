"""The gateway's side of one session: what leaves for a venue, what comes back, and the bringing up after a logon.

A venue takes commands for an underlying only when that *lane* is up: after a logon the quotes that may rest are pulled
and the executions that were missed are asked for; only the answer to that opens the lane. What comes for a lane that
is down is refused in the venue's name, and nothing of it is ever sent. When the session ends the venue cancels what
rests; the desk is told so, and asks by itself about orders without an answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import msgspec

from domain.commands import CancelQuotes, Outbound
from domain.errors import AxiomError, DataError, InputError, Unavailable
from domain.events import Event, ExecutionReported, QuotesCanceled, VenueStatusChanged
from fix.control import ExecutionsDone, ExecutionsRequest
from fix.mapping import Answer, Mapper, underlying_of
from fix.refusals import Refusal, is_refusal, read_refusal
from fix.reports import MassCancelReport
from fix.session import Failure, Happened, LoggedOn, LoggedOut, LogonRefused, Received
from fix.throttle import Cancel, Throttle, Waiting, concerns, takes_all
from fix.wire import Body, as_text
from routing.venues import Venue

_REMEMBERED: Final = 4_096
"""Messages of ours that a refusal may still be about."""

_ASK_AGAIN_S: Final = 0.5

Report = Callable[[str, Mapping[str, object]], None]
"""Tells people: a name and fields."""


class Link(Protocol):
    """Where messages leave: an engine that holds sessions."""

    def send(self, session: str, body: Body) -> int:
        """Send a message and return its sequence number; raise Unavailable where the session is not up."""
        ...


class Said(NamedTuple):
    """An answer on its way to the desk.

    Attributes:
        mic: The venue.
        event: What it says.
        is_own: Whether the gateway says it in the venue's name: what left not, or a session that ended.
    """

    mic: str
    event: Event
    is_own: bool


class Known(NamedTuple):
    """What the desk has been told by a venue about an underlying, before this process began.

    `last_exec_id` is the last execution report of the venue itself, `ts` the latest event time.
    """

    last_exec_id: str
    ts: int


@dataclass(slots=True)
class Lane:
    """One underlying at one venue. `ts` never goes back: what one source says is in order of time."""

    mapper: Mapper
    ts: int
    last_exec_id: str = ""
    is_up: bool = False
    may_rest: bool = False
    question: str = ""
    asked_at: float = 0.0


class VenueLine:
    """One session with one venue, for all underlyings.

    Args:
        venue: Which.
        session: Name of the session.
        link: Where messages leave.
        throttle: How fast.
        max_wait_s: How long an order or quote may wait for its turn before it is refused.
        name: Gives identifiers of our own that were never used.
        report: Tells people.
    """

    def __init__(
        self,
        venue: Venue,
        session: str,
        link: Link,
        throttle: Throttle,
        *,
        max_wait_s: float,
        name: Callable[[], str],
        report: Report,
    ) -> None:
        self.venue = venue
        self.session = session
        self.is_logged_on = False
        self.reason = "not connected yet"
        self.lanes: dict[str, Lane] = {}
        self._link = link
        self._throttle = throttle
        self._max_wait_s = max_wait_s
        self._name = name
        self._report = report
        self._sent: OrderedDict[int, Outbound] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Commands that wait for their turn."""
        return len(self._throttle)

    # --- underlyings --------------------------------------------------------------------------------------------------
    def open(self, mapper: Mapper, ts: int, known: Known | None, now: float) -> list[Said]:
        """Begin with an underlying.

        Args:
            mapper: FIX for its chain at this venue.
            ts: Event time of its listing.
            known: What was said before; then the desk is told that the session is new, and what that means.
            now: The monotonic clock, seconds.
        """
        lane = Lane(mapper, ts)
        self.lanes[mapper.underlying] = lane
        said: list[Said] = []
        if known is not None:
            lane.ts, lane.last_exec_id, lane.may_rest = max(ts, known.ts), known.last_exec_id, True
            said = self._went_down(lane, "the gateway began anew")
        if self.is_logged_on:
            self._catch_up(lane, now)
        return said

    # --- commands -----------------------------------------------------------------------------------------------------
    def submit(self, command: Outbound, now: float) -> list[Said]:
        """Send a command, or let it wait for its turn; what cannot leave is answered at once."""
        lane = self.lanes[command.underlying]
        if not lane.is_up:
            return self._refused(lane, command, f"the venue is down: {self.reason}")
        try:
            bodies = lane.mapper.write(command)
        except (InputError, DataError) as error:
            return self._refused(lane, command, str(error))
        said: list[Said] = []
        if isinstance(command, Cancel):
            if takes_all(command):
                for waiting in self._throttle.take_out(lambda each: concerns(command, each.command)):
                    said += self._refused(lane, waiting.command, "cancelled before it left")
            else:
                self._throttle.bring_forward(lambda each: concerns(command, each.command))
        self._throttle.put(Waiting(command, bodies, now))
        return said + self.tick(now)

    def tick(self, now: float) -> list[Said]:
        """Send what may leave by now, refuse what waited too long, and ask again what was not answered."""
        said: list[Said] = []
        for waiting in self._throttle.late(now - self._max_wait_s):
            said += self._refused(self.lanes[waiting.command.underlying], waiting.command, "throttled for too long")
        while (due := self._throttle.due(now)) is not None:
            said += self._leave(due)
        if self.is_logged_on:
            for lane in self.lanes.values():
                if not lane.is_up and now - lane.asked_at >= _ASK_AGAIN_S:
                    self._catch_up(lane, now)
        return said

    def pull(self, underlying: str, reason: str) -> bool:
        """Pull every quote of an underlying here, on the gateway's own account; return whether it was asked for.

        It goes in front of everything. It also resets a protection of the venue that tripped; the quoter keeps away
        from the venue until he is reset himself.
        """
        lane = self.lanes.get(underlying)
        if lane is None or not self.venue.is_market_maker or not self.is_logged_on:
            return False
        cancel = CancelQuotes(
            ts_event=lane.ts,
            ts_init=lane.ts,
            underlying=underlying,
            cancel_id=self._name(),
            venue=self.venue.index,
            contracts=(),
            reason=reason,
        )
        return self._send_now(lane.mapper.write(cancel), cancel)

    def told_again(self, underlying: str) -> list[Said]:
        """Say again that the venue is up, to somebody who may not have heard it."""
        lane = self.lanes.get(underlying)
        return [self._status(lane, is_up=True, reason="as before")] if lane is not None and lane.is_up else []

    def give_up_quotes(self, underlying: str, reason: str) -> list[Said]:
        """Refuse the quotes of an underlying that wait for their turn: their owner is gone."""
        lane = self.lanes.get(underlying)
        if lane is None:
            return []
        own = CancelQuotes(
            ts_event=0, ts_init=0, underlying=underlying, cancel_id="-", venue=-1, contracts=(), reason=reason
        )
        out = self._throttle.take_out(lambda each: concerns(own, each.command))
        return [said for waiting in out for said in self._refused(lane, waiting.command, reason)]

    def _leave(self, waiting: Waiting) -> list[Said]:
        lane = self.lanes[waiting.command.underlying]
        if not lane.is_up:
            return self._refused(lane, waiting.command, f"the venue is down: {self.reason}")
        self._send_all(waiting.bodies, waiting.command)  # where the session ends now, its end is told in a moment
        return []

    def _send_now(self, bodies: Sequence[Body], command: Outbound | None) -> bool:
        """Send before everything that waits; it counts all the same."""
        self._throttle.spend(len(bodies))
        return self._send_all(bodies, command)

    def _send_all(self, bodies: Sequence[Body], command: Outbound | None) -> bool:
        for body in bodies:
            try:
                number = self._link.send(self.session, body)
            except Unavailable:
                return False
            if command is not None:
                self._remember(number, command)
        return True

    def _remember(self, number: int, command: Outbound) -> None:
        self._sent[number] = command
        if len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)

    # --- what comes ---------------------------------------------------------------------------------------------------
    def handle(self, happened: Happened, now: float) -> list[Said]:
        """Take what the engine tells about the session."""
        said: list[Said] = []
        match happened:
            case LoggedOn():
                self.is_logged_on, self.reason = True, ""
                self._report("session.up", {"venue": self.venue.mic})
                for lane in self.lanes.values():
                    self._catch_up(lane, now)
            case LoggedOut(reason=reason):
                said = self._ended(reason)
            case LogonRefused(reason=reason):
                if reason != self.reason:
                    self._report("session.refused", {"venue": self.venue.mic, "reason": reason})
                self.reason = reason
            case Failure(where=where, error=error):
                self._report("gateway.callback_failed", {"venue": self.venue.mic, "where": where, "error": error})
            case Received(raw=raw, msg_type=kind):
                try:
                    said = self._received(raw, kind, now)
                except AxiomError as error:
                    self._report("gateway.message_refused", {"venue": self.venue.mic, "error": str(error)})
            case _:
                pass
        return said

    def _received(self, raw: bytes, kind: str, now: float) -> list[Said]:
        if is_refusal(kind):
            return self._settled(read_refusal(as_text(raw)), now)
        lane = self.lanes.get(underlying_of(raw))
        if lane is None:
            raise DataError("message is about no underlying of ours", underlying=underlying_of(raw), msg_type=kind)
        message = lane.mapper.read(raw)
        if isinstance(message, Refusal):
            return self._settled(message, now)
        if isinstance(message, ExecutionsDone):
            return self._caught_up(lane, message)
        if isinstance(message, Answer):
            return [self._answered(lane, message)]
        if not isinstance(message, MassCancelReport):  # the single orders have been answered
            self._report("gateway.message_unexpected", {"venue": self.venue.mic, "type": type(message).__name__})
        return []

    def _answered(self, lane: Lane, answer: Answer) -> Said:
        if isinstance(answer, ExecutionReported):
            lane.last_exec_id = answer.exec_id
            lane.ts = max(lane.ts, answer.ts_event)
            if answer.clordid:
                kind = answer.exec_type.name
                self._report("order.reported", {"venue": self.venue.mic, "clordid": answer.clordid, "exec": kind})
            return Said(self.venue.mic, answer, is_own=False)  # executions may come late: their time is left as it is
        return self._in_order(lane, answer, is_own=False)

    def _settled(self, refusal: Refusal, now: float) -> list[Said]:
        """What a refusal of a message of ours means for what it carried."""
        sent = self._sent.get(refusal.sequence)
        fields = {"venue": self.venue.mic, "reason": refusal.reason, "clordid": refusal.ref_id}
        if sent is None:  # a question of ours: it is asked again
            self._report("gateway.question_refused", fields)
            for lane in self.lanes.values():
                lane.asked_at = now
            return []
        self._report("gateway.message_rejected", fields)
        return self._settling(self.lanes[sent.underlying], refusal, sent, is_own=False)

    def _refused(self, lane: Lane, command: Outbound, why: str) -> list[Said]:
        """The answers to a command that was not sent."""
        lane.ts = max(lane.ts, command.ts_event)
        refusal = Refusal("j", 0, "", "", 0, "4", why, lane.ts)
        return self._settling(lane, refusal, command, is_own=True)

    def _settling(self, lane: Lane, refusal: Refusal, command: Outbound, *, is_own: bool) -> list[Said]:
        said = []
        for event in lane.mapper.rejection(refusal, command):
            event = msgspec.structs.replace(event, ts_event=lane.ts)  # noqa: PLW2901  # the refusal has a wall time
            if isinstance(event, Answer):
                said.append(self._in_order(lane, event, is_own=is_own or isinstance(event, ExecutionReported)))
        return said  # what is no answer of a venue leaves a question open, which the desk asks by itself

    def _in_order(self, lane: Lane, event: Event, *, is_own: bool) -> Said:
        lane.ts = max(lane.ts, event.ts_event)
        if event.ts_event != lane.ts:
            event = msgspec.structs.replace(event, ts_event=lane.ts)
        return Said(self.venue.mic, event, is_own=is_own)

    # --- down and up --------------------------------------------------------------------------------------------------
    def _ended(self, reason: str) -> list[Said]:
        self.is_logged_on, self.reason = False, reason
        self._report("session.down", {"venue": self.venue.mic, "reason": reason})
        said = []
        for waiting in self._throttle.clear():
            said += self._refused(
                self.lanes[waiting.command.underlying], waiting.command, f"the venue is down: {reason}"
            )
        self._sent.clear()
        for lane in self.lanes.values():
            if lane.is_up:
                said += self._went_down(lane, reason)
            lane.question = ""
        return said

    def _went_down(self, lane: Lane, reason: str) -> list[Said]:
        lane.is_up = False
        return [self._status(lane, is_up=False, reason=reason), *self._gone(lane)]

    def _gone(self, lane: Lane) -> list[Said]:
        """Our quotes there are gone with the session; said once."""
        if not lane.may_rest:
            return []
        lane.may_rest = False
        event = QuotesCanceled(
            ts_event=lane.ts,
            ts_init=lane.ts,
            underlying=lane.mapper.underlying,
            venue=self.venue.index,
            cancel_id="",
            contracts=(),
            reason="cancel on disconnect",
        )
        return [self._in_order(lane, event, is_own=True)]

    def _status(self, lane: Lane, *, is_up: bool, reason: str) -> Said:
        event = VenueStatusChanged(
            ts_event=lane.ts,
            ts_init=lane.ts,
            underlying=lane.mapper.underlying,
            venue=self.venue.index,
            is_up=is_up,
            reason=reason,
        )
        return self._in_order(lane, event, is_own=True)

    def _catch_up(self, lane: Lane, now: float) -> None:
        """Pull what may rest, and ask for the executions that were missed; the answer opens the lane."""
        lane.question, lane.asked_at = self._name(), now
        underlying = lane.mapper.underlying
        self.pull(underlying, "the session is new")
        self._send_now(lane.mapper.write(ExecutionsRequest(lane.question, lane.last_exec_id)), None)

    def _caught_up(self, lane: Lane, done: ExecutionsDone) -> list[Said]:
        if done.request_id != lane.question:
            return []
        lane.question, lane.is_up = "", True
        lane.last_exec_id = done.last_exec_id
        said = self._gone(lane)
        lane.may_rest = True
        reason = f"session is up, {done.repeated} reports repeated"
        self._report("venue.up", {"venue": self.venue.mic, "underlying": lane.mapper.underlying, "reason": reason})
        return [*said, self._status(lane, is_up=True, reason=reason)]
