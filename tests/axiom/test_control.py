"""People reach a running system over its socket, and every command has a name, a user and a reason."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axiom.control import ADDRESS_FILE, COMMANDS, ControlServer, NoControl, parse_command, send_command
from domain import commands as c
from domain.errors import InputError, Unavailable
from domain.events import CommandApplied, CommandRefused, QuotesCanceled
from domain.events_base import Event

GOOD: dict[str, Any] = {"command": "kill", "underlying": "XYZ", "user": "ann", "reason": "odd fills"}
HEAD: dict[str, Any] = {"ts_event": 1, "ts_init": 1, "underlying": "XYZ"}
APPLIED = CommandApplied(**HEAD, command="EngageKillSwitch", user="ann", reason="odd fills")
REFUSED = CommandRefused(**HEAD, command="EngageKillSwitch", user="ann", reason="engaged already")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ControlServer]:
    found = ControlServer(tmp_path)
    yield found
    found.close()


def call(folder: Path, server: ControlServer, outputs: Sequence[Event]) -> tuple[c.OperatorCommand, dict[str, Any]]:
    """Send one command from another thread while this one is the run: poll, apply, answer."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(send_command, folder, GOOD)
        while not (commands := server.poll()):
            assert not future.done(), future.result()
        (command,) = commands
        server.answer(command, outputs)
        return command, future.result()


def raw(folder: Path, data: bytes) -> dict[str, Any]:
    """Send any bytes to the socket; return the answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(json.loads((folder / ADDRESS_FILE).read_text())["socket"])
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        answer: dict[str, Any] = json.loads(client.makefile("rb").readline())
        return answer


def test_command_reaches_the_run_and_its_outcome_the_caller(tmp_path: Path, server: ControlServer) -> None:
    command, answer = call(tmp_path, server, [APPLIED])
    assert isinstance(command, c.EngageKillSwitch)
    assert (command.underlying, command.user, command.reason) == ("XYZ", "ann", "odd fills")
    assert answer["applied"] is True
    assert answer["outcome"]["command"] == "EngageKillSwitch"
    assert answer["events"] == 1
    assert server.poll() == ()


def test_refusal_by_a_stage_is_told_with_its_reason(tmp_path: Path, server: ControlServer) -> None:
    _, answer = call(tmp_path, server, [APPLIED, REFUSED])
    assert (answer["applied"], answer["outcome"]["reason"]) == (False, "engaged already")
    assert answer["error"] == "engaged already"


def test_command_that_nobody_took_is_not_applied_and_says_why(tmp_path: Path, server: ControlServer) -> None:
    _, answer = call(tmp_path, server, [])
    assert (answer["applied"], answer["outcome"], answer["events"]) == (False, {}, 0)
    assert "[field='underlying' value='XYZ']" in answer["error"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"command": "sell"}, "field='command' value='sell'"),
        ({"reason": ""}, "field='reason' value=''"),
        ({"reason": "x" * 70_000}, "at most 1000 characters [field='reason' value='xxxxxxxxxxxxxxxxxxxx…']"),
    ],
)
def test_wrong_command_is_refused_before_it_is_sent(tmp_path: Path, change: dict[str, str], told: str) -> None:
    with pytest.raises(InputError) as error:
        send_command(tmp_path, GOOD | change)
    assert told in str(error.value)


def test_commands_come_one_at_a_time_in_the_order_of_arrival(tmp_path: Path, server: ControlServer) -> None:
    for reason in ("one", "two"):
        server.submit(parse_command(GOOD | {"reason": reason}))
    found = [server.poll(), server.poll(), server.poll()]
    assert [[command.reason for command in commands] for commands in found] == [["one"], ["two"], []]
    server.answer(found[0][0], [QuotesCanceled(**HEAD, venue=0, cancel_id="", contracts=(), reason="")])


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(b"", "truncated", id="nothing"),
        pytest.param(b"kill\n", "malformed", id="not JSON"),
        pytest.param(b"[1]\n", "Expected `object`", id="not an object"),
        pytest.param(b"\xff\xfe\n", "", id="not text"),
        pytest.param(b'{"command": "sell"}\n', "unknown command", id="unknown command"),
        pytest.param(json.dumps(GOOD | {"user": ""}).encode() + b"\n", "a user and a reason", id="nobody"),
        pytest.param(b'{"command": "kill", "user": "u", "reason": "' + b"x" * 70_000 + b'"}\n', "truncated", id="long"),
    ],
)
def test_bad_request_is_answered_and_never_reaches_the_run(
    tmp_path: Path, server: ControlServer, data: bytes, what: str
) -> None:
    answer = raw(tmp_path, data)
    assert answer["applied"] is False
    assert what in answer["error"]
    assert server.poll() == ()
    assert call(tmp_path, server, [APPLIED])[1]["applied"] is True


def test_run_that_is_not_running_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not running"):
        send_command(tmp_path, GOOD)
    server = ControlServer(tmp_path)
    address = (tmp_path / ADDRESS_FILE).read_text()
    server.close()
    assert not (tmp_path / ADDRESS_FILE).exists()
    assert not Path(json.loads(address)["socket"]).parent.exists()
    for left_behind, told in ((address, "is not running"), ("{", "does not answer"), ("{}", "does not answer")):
        (tmp_path / ADDRESS_FILE).write_text(left_behind)  # by a process that was killed
        with pytest.raises(Unavailable, match=told):
            send_command(tmp_path, GOOD)


def test_socket_is_the_users_alone(tmp_path: Path, server: ControlServer) -> None:
    path = Path(json.loads((tmp_path / ADDRESS_FILE).read_text())["socket"])
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_ISSOCK(path.stat().st_mode)


# --- parsing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_parses_to_its_type(name: str) -> None:
    extra = {"limits": {"held_delta": 5}} if name == "limits" else {}
    command = parse_command(GOOD | {"command": name} | extra)
    assert type(command) is COMMANDS[name]
    assert (command.user, command.reason, command.underlying) == ("ann", "odd fills", "XYZ")


def test_every_operators_command_but_the_end_of_the_run_has_a_name() -> None:
    assert set(COMMANDS.values()) == set(c.OperatorCommand.__subclasses__()) - {c.StopRun}


def test_no_underlying_is_the_firm() -> None:
    assert parse_command({name: value for name, value in GOOD.items() if name != "underlying"}).underlying == ""


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"command": "sell"}, "command"),
        ({"command": None}, "command"),
        ({"command": ["kill"]}, "command"),
        ({"user": ""}, "user"),
        ({"user": None}, "user"),
        ({"reason": ""}, "reason"),
        ({"quantity": 5}, "quantity"),
        ({"limits": {}}, "limits"),
        ({"user": 5}, "kill"),
        ({"command": "limits"}, "limits"),
        ({"command": "limits", "limits": {"held_delta": "much"}}, "limits"),
    ],
)
def test_bad_command_names_what_is_wrong(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_command(GOOD | change)
    assert caught.value.fields["field"] == field


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.mark.fuzz
@given(
    request=st.dictionaries(
        st.sampled_from(["command", "underlying", "user", "reason", "limits", "ts_event", "x"]),
        st.sampled_from(sorted(COMMANDS)) | JSON,
    )
)
def test_any_request_gives_a_command_or_an_input_error(request: dict[str, Any]) -> None:
    try:
        command = parse_command(request)
    except InputError:
        return
    assert command.user
    assert command.reason


def test_nobody_acts_where_there_is_no_control() -> None:
    control = NoControl()
    assert control.poll() == ()
    assert control.should_stop is False
    control.answer(parse_command(GOOD), [APPLIED])
