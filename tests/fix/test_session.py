"""Settings of a session say what they refuse, keep their secrets, and reach the engine in its own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from domain.errors import InputError
from fix.engine_settings import session_pairs
from fix.session import Credentials, Schedule, SessionSettings

GOOD: dict[str, Any] = {"sender": "AXIOM", "target": "VENUE", "port": 9_878}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sender": ""}, "sender"),
        ({"sender": "A/B"}, "sender"),  # names become file names
        ({"target": "A\x01B"}, "target"),
        ({"target": "AXIOM"}, "target"),
        ({"port": 0}, "port"),
        ({"port": 65_536}, "port"),
        ({"heartbeat_s": 0}, "heartbeat_s"),
        ({"reconnect_s": -1}, "reconnect_s"),
        ({"max_clock_skew_s": 0}, "max_clock_skew_s"),
        ({"resends_business": True}, "resends_business"),
    ],
)
def test_a_setting_that_cannot_run_is_refused_by_name(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as refused:
        SessionSettings(**GOOD | change)
    assert refused.value.fields["field"] == field


def test_an_unknown_setting_is_refused_by_name() -> None:
    with pytest.raises(msgspec.ValidationError, match="hartbeat_s"):
        msgspec.convert(GOOD | {"hartbeat_s": 1}, SessionSettings)


@pytest.mark.parametrize(
    "schedule",
    [{"start": "9:30:00"}, {"end": "24:00:00"}, {"start": "093000"}, {"start_day": "mon"}, {"end_day": "fri"}],
)
def test_a_schedule_that_would_be_misread_is_refused(schedule: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Schedule(**schedule)


@pytest.mark.parametrize("secret", ["", "a\x01b", "a\nb"])
def test_credentials_that_no_field_can_carry_are_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(InputError) as refused:
        Credentials(username="axiom", password=secret)
    assert "value" not in refused.value.fields


def test_credentials_never_show() -> None:
    credentials = Credentials(username="someone", password="hush")  # noqa: S106 - of this test
    settings = SessionSettings(**GOOD, credentials=credentials)
    shown = f"{credentials} {credentials!r} {settings!r} {credentials.__rich_repr__()}"
    with structlog.testing.capture_logs() as logs:
        structlog.get_logger().warning("session.settings", settings=settings)
    shown += "".join(repr(entry) for entry in logs)
    assert "someone" not in shown
    assert "hush" not in shown


def test_the_engine_is_told_what_the_settings_say() -> None:
    settings = SessionSettings(
        **GOOD,
        schedule=Schedule(start="13:00:00", end="21:30:00", start_day="mon", end_day="fri"),
        store=Path("folder"),
        credentials=Credentials(username="someone", password="hush"),  # noqa: S106 - of this test
    )
    initiator, acceptor = session_pairs(settings, "initiator"), session_pairs(settings, "acceptor")
    assert (initiator["SocketConnectHost"], initiator["SocketConnectPort"]) == ("127.0.0.1", "9878")
    assert (acceptor["AllowedRemoteAddresses"], acceptor["SocketAcceptPort"]) == ("127.0.0.1", "9878")
    assert "AllowedRemoteAddresses" not in session_pairs(msgspec.structs.replace(settings, host=""), "acceptor")
    for pairs in (initiator, acceptor):
        assert (pairs["StartTime"], pairs["EndTime"], pairs["StartDay"], pairs["EndDay"]) == (
            "13:00:00",
            "21:30:00",
            "mon",
            "fri",
        )
        assert pairs["FileStorePath"] == "folder"
        assert {
            pairs["ResetOnLogon"],
            pairs["ResetOnLogout"],
            pairs["ResetOnDisconnect"],
            pairs["PersistMessages"],
        } == {"N"}
        assert not {"someone", "hush"} & {*pairs.values()}
