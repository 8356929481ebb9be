"""What the engine refuses before it starts, by name; and how it claims its store and tells its reasons."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from domain.errors import InputError, SettingsError, Unavailable
from fix.application import Engine
from fix.callbacks import message_type
from fix.event_log import EventLog
from fix.session import DIALECT, SessionSettings
from fix.store_folder import MIN_FREE_BYTES, StoreFolder

GOOD: dict[str, Any] = {"sender": "AXIOM", "target": "VENUE", "port": 9_878}


def test_a_missing_dictionary_is_refused_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "none.xml"
    with pytest.raises(SettingsError, match=r"no FIX data dictionary.*none\.xml"):
        Engine("initiator", [SessionSettings(**GOOD, dictionary=path)])


@pytest.mark.parametrize("text", ["", "no xml", "<fix/>", "<fix type='FIX' major='4'/>"])
def test_a_dictionary_that_is_none_is_refused_by_its_path(text: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.xml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"no FIX data dictionary.*wrong\.xml"):
        Engine("initiator", [SessionSettings(**GOOD, dictionary=path)])


def test_a_dictionary_of_another_version_is_refused_with_both() -> None:
    settings = SessionSettings(**GOOD, begin_string="FIX.4.2", dictionary=DIALECT)
    with pytest.raises(SettingsError, match=r"another FIX version.*FIX\.4\.2.*FIX\.4\.4"):
        Engine("initiator", [settings])


def test_an_engine_needs_sessions_that_differ(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        Engine("initiator", [])
    with pytest.raises(InputError):
        Engine("initiator", [SessionSettings(**GOOD), SessionSettings(**GOOD | {"port": 1})])
    with pytest.raises(InputError, match="store"):
        Engine("initiator", [SessionSettings(**GOOD), SessionSettings(**GOOD | {"target": "B"}, store=tmp_path)])


@pytest.mark.parametrize("kind", list("012345A"))
def test_session_messages_are_the_engines_own(kind: str) -> None:
    engine = Engine("initiator", [SessionSettings(**GOOD | {"target": f"KIND{kind}"})])
    with pytest.raises(InputError, match="sent by the engine"):
        engine.send(f"FIX.4.4:AXIOM->KIND{kind}", kind, b"")


def test_what_cannot_be_sent_is_refused() -> None:
    engine = Engine("initiator", [SessionSettings(**GOOD | {"target": "SEND"})])
    name = "FIX.4.4:AXIOM->SEND"
    with pytest.raises(InputError, match="unknown session"):
        engine.send("FIX.4.4:AXIOM->NOBODY", "D", b"11=a\x01")
    with pytest.raises(InputError, match="no FIX message"):
        engine.send(name, "D", b"\xff\xfe\x01")
    with pytest.raises(Unavailable, match="not up"):
        engine.send(name, "D", b"11=a\x01")
    assert engine.sequence_numbers(name).next_sent == 1


def test_a_store_is_private_and_claimed_once(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "store"
    first = StoreFolder(folder)
    assert folder.stat().st_mode & 0o077 == 0
    with pytest.raises(Unavailable, match="another engine"):
        StoreFolder(folder)
    first.release()
    StoreFolder(folder).release()


def test_a_store_that_cannot_be_written_is_refused_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"cannot be written.*file"):
        StoreFolder(tmp_path / "file" / "store")


def test_a_nearly_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil has it
    store = StoreFolder(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, MIN_FREE_BYTES - 1))
    with pytest.raises(Unavailable, match="nearly full"):
        store.check_space()
    store.release()


def test_an_event_log_tells_what_is_new_and_not_everyday(tmp_path: Path) -> None:
    settings = SessionSettings(**GOOD)
    file = tmp_path / "FIX.4.4-AXIOM-VENUE.event.current.log"
    file.write_text("20151224-14:00:00.000000000 : of an earlier run\n")
    log = EventLog(tmp_path, (settings,))
    assert log.news(settings.name) == ""
    lines = ["Created session", "Connecting to x", "Timed out waiting for heartbeat", "Disconnecting"]
    with file.open("a") as out:
        out.writelines(f"20151224-15:00:00.000000000 : {line}\n" for line in lines)
    assert log.news(settings.name) == "Timed out waiting for heartbeat"
    assert log.news(settings.name) == ""
    # Messages, which hold passwords, lead nowhere.
    assert (tmp_path / "FIX.4.4-AXIOM-VENUE.messages.current.log").resolve() == Path("/dev/null")


def test_the_type_of_a_message_is_read_where_the_engine_writes_it() -> None:
    assert message_type("8=FIX.4.4\x019=5\x0135=AE\x0158=x\x0135=D\x0110=000\x01") == "AE"
