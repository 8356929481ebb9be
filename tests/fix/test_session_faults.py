"""What sessions survive, between two engines in processes of their own on loopback: killed, frozen, gapped, refused."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

ENGINE: Final = Path(__file__).with_name("engine_process.py")
SOH: Final = "\x01"
PATIENCE_S: Final = 15.0
Setting = str | int | bool | list[str] | dict[str, str] | None
SECRET: Final = "correct horse"  # noqa: S105 - of this test


def order(clordid: str) -> str:
    """Body of a stock order that the dialect accepts."""
    fields = {
        1: "AXIOM01", 11: clordid, 38: "100", 40: "2", 44: "10.5", 54: "1", 55: "GOOG", 60: "20151224-15:00:00.000",
        167: "CS", 453: "1", 448: "000", 447: "D", 452: "4", 528: "P",
    }  # fmt: skip
    return "".join(f"{tag}={value}{SOH}" for tag, value in fields.items())


def field(raw: str, tag: int) -> str:
    found = re.search(rf"\x01{tag}=([^\x01]*)", raw)
    return found[1] if found else ""


class Peer:
    """One engine process."""

    def __init__(self, role: str, **settings: Setting) -> None:
        self.settings = settings
        events = settings.pop("event_log", None)
        broken = settings.pop("broken", [])
        self._arguments: dict[str, object] = {"role": role, "session": settings, "event_log": events, "broken": broken}
        self.seen: list[dict[str, Any]] = []
        self._answers: queue.Queue[list[Any]]
        self._news = threading.Condition()
        self.start()

    def start(self) -> None:
        """Start it, or start it again after a kill; what was seen before is forgotten."""
        command = [sys.executable, str(ENGINE), json.dumps(self._arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.seen.clear()
        self._answers = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        self.begun = self._answers.get(timeout=PATIENCE_S)
        assert self.begun != ["ended"]

    def _read(self, process: subprocess.Popen[str]) -> None:
        answers = self._answers
        assert process.stdout is not None
        for line in process.stdout:
            kind, *rest = json.loads(line)
            if kind == "happened":
                with self._news:
                    self.seen.append(rest[0])
                    self._news.notify_all()
            else:
                answers.put([kind, *rest])
        answers.put(["ended"])

    def ask(self, *call: str | float) -> list[Any]:
        """Call the engine; its answer."""
        assert self.process.stdin is not None
        print(json.dumps(call), file=self.process.stdin, flush=True)
        return self._answers.get(timeout=PATIENCE_S)

    def send(self, clordid: str, *options: str) -> int:
        kind, *rest = self.ask("send", "D", order(clordid), *options)
        assert kind == "answer", rest
        return int(rest[0])

    def await_(self, kind: str, count: int = 1, **fields: Setting) -> dict[str, Any]:
        """Wait until something happened so many times; the last of it."""

        def found() -> list[dict[str, Any]]:
            return [each for each in self.seen if each["type"] == kind and fields.items() <= each.items()]

        with self._news:
            arrived = self._news.wait_for(lambda: len(found()) >= count, PATIENCE_S)
        assert arrived, f"no {kind} {fields} within {PATIENCE_S} s; seen: {self.seen}"
        return found()[count - 1]

    def orders(self) -> list[str]:
        """ClOrdIDs that arrived, in order."""
        return [field(each["raw"], 11) for each in self.seen if each["type"] == "Received" and each["msg_type"] == "D"]

    def kinds(self) -> set[str]:
        return {each["type"] for each in self.seen}

    def numbers(self) -> dict[str, int]:
        answer: dict[str, int] = self.ask("sequence_numbers")[1]
        return answer

    def freeze(self) -> None:
        """Stop the process, as a machine that hangs; returns when it stands still."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        self.close()

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    """Makes engines, and ends them with the test."""
    made: list[Peer] = []

    def make(role: str, **settings: Setting) -> Peer:
        made.append(Peer(role, **settings))
        return made[-1]

    yield make
    for each in made:
        if each.process.poll() is None:
            each.thaw()
            each.kill()
        else:
            each.close()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
    return found


@pytest.fixture
def pair(peer: Callable[..., Peer], port: int, tmp_path: Path) -> Callable[..., tuple[Peer, Peer]]:
    """Makes a venue and a client with stores on disk, logged on to each other."""

    def make(client: dict[str, Any] | None = None, venue: dict[str, Any] | None = None) -> tuple[Peer, Peer]:
        accepting = {"persist": True, "resends_business": True, "store": str(tmp_path / "venue")} | (venue or {})
        initiating = {"store": str(tmp_path / "client"), "event_log": str(tmp_path / "events")} | (client or {})
        there = peer("acceptor", sender="VENUE", target="AXIOM", port=port, **accepting)
        here = peer("initiator", sender="AXIOM", target="VENUE", port=port, **initiating)
        here.await_("LoggedOn")
        there.await_("LoggedOn")
        return here, there

    return make


Pair = Callable[..., tuple[Peer, Peer]]


def agree(here: Peer, there: Peer) -> bool:
    """Whether what one side sends next is what the other expects next."""
    ours, theirs = here.numbers(), there.numbers()
    return ours["next_sent"] == theirs["next_expected"] and theirs["next_sent"] == ours["next_expected"]


def await_agreement(here: Peer, there: Peer) -> None:
    until = time.monotonic() + PATIENCE_S
    while not agree(here, there):
        assert time.monotonic() < until, (here.numbers(), there.numbers())
        time.sleep(0.02)


def test_orders_and_reports_cross_and_both_sides_agree_on_numbers(pair: Pair) -> None:
    here, there = pair()
    assert [here.send(f"c{n}") for n in range(3)] == [3, 4, 5]  # behind the Logon and the question whether they follow
    there.await_("Received", 3)
    assert there.orders() == ["c0", "c1", "c2"]
    assert there.send("v0") == 3
    assert field(here.await_("Received")["raw"], 34) == "3"
    await_agreement(here, there)


@pytest.mark.parametrize("victim", ["client", "venue"])
def test_a_killed_side_takes_up_its_numbers_where_they_were(victim: str, pair: Pair) -> None:
    here, there = pair()
    here.send("before")
    there.await_("Received")
    killed, survivor = (here, there) if victim == "client" else (there, here)
    killed.kill()
    survivor.await_("LoggedOut")
    killed.start()
    killed.await_("LoggedOn")
    survivor.await_("LoggedOn", 2)
    assert here.send("after") > 2
    there.await_("Received", 1 if victim == "venue" else 2)
    assert there.orders()[-1] == "after"
    await_agreement(here, there)


def test_what_a_killed_client_missed_is_sent_to_it_again(pair: Pair) -> None:
    here, there = pair()
    await_agreement(here, there)
    here.freeze()
    first, *_ = [there.send(f"report{n}") for n in range(3)]
    here.kill()
    there.await_("LoggedOut")
    here.start()
    assert here.await_("GapFound")["first"] == first
    here.await_("Received", 3)
    assert here.orders() == ["report0", "report1", "report2"]
    assert [field(each["raw"], 43) for each in here.seen if each["type"] == "Received"] == ["Y", "Y", "Y"]
    there.await_("ResendAsked", first=first)
    await_agreement(here, there)


@pytest.mark.parametrize("persist", [False, True], ids=["nothing stored", "stored"])
def test_an_order_that_a_killed_venue_missed_is_never_sent_again(persist: bool, pair: Pair) -> None:  # noqa: FBT001
    here, there = pair(client={"persist": persist})
    await_agreement(here, there)
    there.freeze()
    first, *_ = [here.send(f"stale{n}") for n in range(3)]
    there.kill()
    here.await_("LoggedOut")
    there.start()
    there.await_("GapFound", first=first)
    there.await_("SequenceReset", gap_fill=True)
    here.await_("LoggedOn", 2)
    here.send("live")
    there.await_("Received")
    assert there.orders() == ["live"]
    await_agreement(here, there)


def test_an_order_for_a_session_that_is_down_is_refused_and_not_kept(pair: Pair) -> None:
    here, there = pair(client={"persist": True})
    there.kill()
    here.await_("LoggedOut")
    before = here.numbers()
    assert here.ask("send", "D", order("stale"))[:2] == ["error", "Unavailable"]
    # A program that goes round `Engine.send` cannot leave an order in the store either.
    assert here.ask("store", "D", order("stale")) == ["answer", False]
    assert here.numbers()["next_sent"] in {before["next_sent"], before["next_sent"] + 1}  # a Logon may be under way
    there.start()
    here.await_("LoggedOn", 2)
    there.await_("LoggedOn")
    here.send("live")
    there.await_("Received")
    assert there.orders() == ["live"]


def test_an_order_right_after_the_logon_survives_the_gap_that_the_logon_fills(pair: Pair) -> None:
    here, there = pair(client={"heartbeat_s": 1})
    there.freeze()
    here.await_("LoggedOut")  # its test requests and logons are numbers that the venue never saw
    there.kill()
    there.start()
    here.await_("LoggedOn", 2)
    here.send("at once")
    there.await_("Received")
    assert there.orders() == ["at once"]
    assert "GapFound" in there.kinds()


def test_a_possible_resend_says_so_and_reaches_the_application(pair: Pair) -> None:
    here, there = pair()
    here.send("once")
    here.send("once", "possible resend")
    there.await_("Received", 2)
    assert [field(each["raw"], 97) for each in there.seen if each["type"] == "Received"] == ["", "Y"]


def test_a_message_of_an_unknown_type_is_refused_as_unsupported(pair: Pair) -> None:
    here, _ = pair(venue={"accepts": ["8"]})
    number = here.send("refused")
    answer = here.await_("Received", msg_type="j")
    assert (field(answer["raw"], 45), field(answer["raw"], 380)) == (str(number), "3")


def test_a_reject_names_the_number_that_sending_gave(pair: Pair) -> None:
    here, there = pair()
    number = here.ask("send", "D", order("bad") + f"9599=x{SOH}")[1]
    answer = here.await_("Received", msg_type="3")
    assert (field(answer["raw"], 45), field(answer["raw"], 371)) == (str(number), "9599")
    assert there.orders() == []
    await_agreement(here, there)


def test_a_frozen_venue_is_noticed_and_comes_back(pair: Pair) -> None:
    here, there = pair(client={"heartbeat_s": 1})
    there.freeze()
    assert "heartbeat" in here.await_("LoggedOut")["reason"]
    there.thaw()
    here.await_("LoggedOn", 2)
    here.send("again")
    there.await_("Received")


def test_wrong_credentials_are_refused_and_told_and_kept_secret(
    peer: Callable[..., Peer], port: int, tmp_path: Path
) -> None:
    known = {"username": "axiom", "password": SECRET}
    files = {"store": str(tmp_path / "venue"), "event_log": str(tmp_path / "events"), "persist": True}
    there = peer("acceptor", sender="VENUE", target="AXIOM", port=port, credentials=known, **files)
    wrong = peer(
        "initiator",
        sender="AXIOM",
        target="VENUE",
        port=port,
        credentials=known | {"password": SECRET + "!"},
        store=str(tmp_path / "client"),
        event_log=str(tmp_path / "client-events"),
    )
    assert "Rejected Logon" in wrong.await_("LogonRefused")["reason"]
    assert "password" in there.await_("LogonRefused")["reason"]
    assert "LoggedOn" not in wrong.kinds() | there.kinds()
    wrong.kill()
    # On neither side anything that was written holds the password.
    written = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path.name for path in written if SECRET.encode() in path.read_bytes()] == []
    assert SECRET not in json.dumps(wrong.seen + there.seen)
    right = peer(
        "initiator", sender="AXIOM", target="VENUE", port=port, credentials=known, store=str(tmp_path / "client")
    )
    right.await_("LoggedOn")
    there.await_("LoggedOn")


def test_an_exception_in_every_callback_is_reported_and_the_engine_lives(peer: Callable[..., Peer], port: int) -> None:
    callbacks = ["onCreate", "onLogon", "onLogout", "toAdmin", "toApp", "fromAdmin", "fromApp"]
    there = peer("acceptor", sender="VENUE", target="AXIOM", port=port, broken=callbacks)
    here = peer("initiator", sender="AXIOM", target="VENUE", port=port, reset_on_logon=True, broken=callbacks)
    for _ in range(2):
        here.await_("LoggedOn")
        here.send("c0")
        there.await_("Received")
        there.send("v0")
        here.await_("Received")
        here.ask("log_out", "again")
        here.await_("LoggedOut")
        there.await_("LoggedOut")
        here.seen.clear()
        there.seen.clear()
        here.ask("log_on")
    failed = {"here": {"onCreate"}, "there": {"onCreate"}}
    here.await_("LoggedOn")
    here.send("c1")
    there.await_("Received")
    there.send("v1")
    here.await_("Received")
    here.ask("log_out", "the end")
    for name, each in (("here", here), ("there", there)):
        each.await_("LoggedOut")
        each.await_("Failure", where="onLogout")
        failed[name] |= {seen["where"] for seen in each.seen if seen["type"] == "Failure"}
        assert each.process.poll() is None
    assert failed == {"here": set(callbacks), "there": set(callbacks)}


def test_one_store_serves_one_engine(pair: Pair, peer: Callable[..., Peer], port: int, tmp_path: Path) -> None:
    here, _ = pair()
    second = peer("initiator", sender="AXIOM", target="VENUE", port=port, store=str(tmp_path / "client"))
    assert second.begun[:2] == ["refused", "Unavailable"]
    assert "another engine" in second.begun[2]
    assert second.process.wait(PATIENCE_S) == 2
    second.close()
    here.kill()
    second.start()
    second.await_("LoggedOn")


def test_a_taken_port_is_refused_by_name(peer: Callable[..., Peer], port: int) -> None:
    peer("acceptor", sender="VENUE", target="AXIOM", port=port)
    second = peer("acceptor", sender="OTHER", target="AXIOM", port=port)
    assert second.begun[:2] == ["refused", "Unavailable"]
    assert str(port) in second.begun[2]


def test_a_stop_logs_out_and_tells_the_other_side_why(pair: Pair) -> None:
    here, there = pair()
    assert here.ask("stop", 5.0, "end of day") == ["answer", True]
    assert "end of day" in there.await_("LoggedOut")["reason"]


def test_a_stop_keeps_its_deadline_when_the_other_side_is_frozen(pair: Pair) -> None:
    here, there = pair()
    there.freeze()
    begun = time.monotonic()
    assert here.ask("stop", 0.5) == ["answer", False]
    assert time.monotonic() - begun < 10
    assert here.process.stdin is not None
    here.process.stdin.close()
    assert here.process.wait(PATIENCE_S) == 0


# --- against bytes: what no engine would send -------------------------------------------------------------------------


class Wire:
    """A connection that says whatever it is told to."""

    def __init__(self, connection: socket.socket, sender: str, target: str) -> None:
        self.socket = connection
        self.socket.settimeout(PATIENCE_S)
        self._names = sender, target
        self._received = b""
        self.number = 0

    def message(self, kind: str, body: str = "", *, number: int = 0, skew_s: float = 0, flags: str = "") -> bytes:
        self.number = number or self.number + 1
        sent = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(time.time() + skew_s))
        sender, target = self._names
        head = f"35={kind}{SOH}34={self.number}{SOH}{flags}49={sender}{SOH}52={sent}.000{SOH}56={target}{SOH}"
        text = f"8=FIX.4.4{SOH}9={len(head) + len(body)}{SOH}{head}{body}".encode()
        return text + f"10={sum(text) % 256:03d}{SOH}".encode()

    def send(self, kind: str, body: str = "", *, number: int = 0, skew_s: float = 0, flags: str = "") -> None:
        self.socket.sendall(self.message(kind, body, number=number, skew_s=skew_s, flags=flags))

    def read(self) -> str:
        """The next message; empty at the end of the stream."""
        while not (found := re.match(rb"8=.*?\x0110=\d{3}\x01", self._received, re.DOTALL)):
            data = self.socket.recv(65_536)
            if not data:
                return ""
            self._received += data
        self._received = self._received[found.end() :]
        return found[0].decode()

    def read_until(self, kind: str) -> str:
        while text := self.read():
            if field(text, 35) == kind:
                return text
        raise AssertionError(f"the connection ended before a message of type {kind}")


LOGON: Final = f"98=0{SOH}108=30{SOH}"


@pytest.fixture
def venue(peer: Callable[..., Peer], port: int, tmp_path: Path) -> Peer:
    files = {"store": str(tmp_path / "venue"), "event_log": str(tmp_path / "events")}
    return peer("acceptor", sender="VENUE", target="AXIOM", port=port, persist=True, resends_business=True, **files)


@pytest.fixture
def wire(venue: Peer, port: int) -> Iterator[Wire]:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        yield Wire(connection, "AXIOM", "VENUE")


def test_a_duplicate_is_taken_once(venue: Peer, wire: Wire) -> None:
    wire.send("A", LOGON)
    wire.send("D", order("once"))
    again = f"43=Y{SOH}122=20151224-15:00:00.000{SOH}"
    wire.send("D", order("once"), number=2, flags=again)
    wire.send("D", order("next"), number=3)
    venue.await_("Received", 2)
    assert venue.orders() == ["once", "next"]
    until = time.monotonic() + 5.0
    while venue.numbers()["next_expected"] != 4:  # the engine counts after it has told us
        assert time.monotonic() < until


def test_an_old_number_without_the_mark_of_a_duplicate_ends_the_session_with_its_reason(
    venue: Peer, wire: Wire
) -> None:
    wire.send("A", LOGON)
    wire.send("D", order("first"))
    wire.send("D", order("second"), number=2)
    assert "MsgSeqNum too low" in field(wire.read_until("5"), 58)
    assert "MsgSeqNum too low, expecting 3 but received 2" in venue.await_("LoggedOut")["reason"]
    assert venue.orders() == ["first"]


def test_a_gap_is_asked_for_and_filled_in_order(venue: Peer, wire: Wire) -> None:
    wire.send("A", LOGON)
    wire.send("D", order("third"), number=4)
    asked = wire.read_until("2")
    assert field(asked, 7) == "2"
    dup = f"43=Y{SOH}122=20151224-15:00:00.000{SOH}"
    wire.send("D", order("first"), number=2, flags=dup)
    wire.send("4", f"36=4{SOH}123=Y{SOH}", number=3, flags=dup)
    venue.await_("Received", 2)
    assert venue.orders() == ["first", "third"]
    assert venue.await_("GapFound")["first"] == 2
    assert venue.await_("SequenceReset", gap_fill=True)["next_expected"] == 4


def test_half_a_message_of_a_killed_peer_is_no_message(venue: Peer, wire: Wire, port: int) -> None:
    wire.send("A", LOGON)
    venue.await_("LoggedOn")
    half = wire.message("D", order("half"))
    wire.socket.sendall(half[: len(half) // 2])
    # Closed with a reset, as the kernel closes the sockets of a killed process that has unread data.
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    wire.socket.close()
    venue.await_("LoggedOut")
    assert venue.orders() == []
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        again = Wire(connection, "AXIOM", "VENUE")
        again.send("A", LOGON, number=2)
        again.send("D", order("whole"))
        venue.await_("Received")
        assert venue.orders() == ["whole"]


@pytest.mark.parametrize("skew_s", [-3600, 3600])
def test_a_clock_that_is_wrong_ends_the_session_with_its_reason(skew_s: int, venue: Peer, wire: Wire) -> None:
    wire.send("A", LOGON)
    venue.await_("LoggedOn")
    wire.send("D", order("late"), skew_s=skew_s)
    assert field(wire.read_until("3"), 373) == "10"
    assert wire.read_until("5")
    wire.send("5")
    assert "SendingTime accuracy problem" in venue.await_("LoggedOut")["reason"]
    assert venue.orders() == []


def test_a_venue_with_a_wrong_clock_is_refused_with_its_reason(
    peer: Callable[..., Peer], port: int, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", port)) as server:
        here = peer("initiator", sender="AXIOM", target="VENUE", port=port, event_log=str(tmp_path / "events"))
        server.settimeout(PATIENCE_S)
        connection, _ = server.accept()
        with connection:
            venue = Wire(connection, "VENUE", "AXIOM")
            assert field(venue.read(), 35) == "A"
            venue.send("A", LOGON, skew_s=3600)
            assert "SendingTime accuracy problem" in here.await_("LogonRefused")["reason"]
    assert "LoggedOn" not in here.kinds()


def test_refused_connections_leave_no_open_file_behind(venue: Peer, port: int) -> None:
    def open_files() -> int:
        return len([*Path(f"/proc/{venue.process.pid}/fd").iterdir()])

    before = open_files()
    for n in range(20):
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
            stranger = Wire(connection, f"STRANGER{n}", "VENUE")
            stranger.send("A", LOGON)
            assert stranger.read() == ""
    until = time.monotonic() + PATIENCE_S
    while open_files() > before:
        assert time.monotonic() < until, (before, open_files())
        time.sleep(0.05)
