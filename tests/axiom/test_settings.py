"""Settings come from one file and the environment, and every refusal names its key and value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from axiom.settings import ENV_PREFIX, RunSettings, Settings, from_json, load
from domain.errors import InputError, SettingsError
from routing.misbehaviour import Misbehaviour


def write(folder: Path, text: str) -> Path:
    path = folder / "axiom.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_given_is_the_defaults() -> None:
    assert load(None, {}) == Settings()
    assert load(None, {"PATH": "/bin", "AXIOM_SHARED": "x"}) == Settings()


def test_file_sets_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    found = load(write(tmp_path, "[run]\nseed = 7\n[exchange]\njoin_probability = 0.25\n"), {})
    assert found.run == msgspec.structs.replace(RunSettings(), seed=7)
    assert found.exchange.join_probability == 0.25
    assert msgspec.structs.replace(found, run=RunSettings(), exchange=Settings().exchange) == Settings()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        pytest.param("sped = 1", "sped", id="top level"),
        pytest.param("[quotng]\nsize = 1", "quotng", id="section"),
        pytest.param("[run]\nsede = 1", "run.sede", id="nested"),
        pytest.param("[misbehaviour.XCBO]\nlies = 1", "misbehaviour.XCBO.lies", id="in a table of venues"),
    ],
)
def test_unknown_key_is_refused_by_name(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, text), {})
    assert caught.value.message == f"settings: unknown key '{key}'"
    assert caught.value.fields["field"] == key


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        pytest.param("[run]\nmax_entries = 0", "run.max_entries", 0, id="too small"),
        pytest.param("[run]\nseed = -1", "run.seed", -1, id="negative"),
        pytest.param("[exchange]\njoin_probability = 1.5", "exchange.join_probability", 1.5, id="of another package"),
        pytest.param("[run]\nseed = 'many'", "run.seed", "many", id="of the wrong type"),
        pytest.param("run = 5", "run", 5, id="not a section"),
        pytest.param("[hedging]\nlot = 0", "hedging.lot", 0, id="class of another name than its section"),
        pytest.param("[quoting.mmp]\nwindow_ms = 0", "quoting.mmp.window_ms", 0, id="section in a section"),
        pytest.param("[massive]\nwindow_ms = 7", "massive.window_ms", 7, id="of a decoder"),
        pytest.param(
            "[misbehaviour.SIMA]\ndrop_rate = 0.1\n[misbehaviour.SIMB]\ndrop_rate = 2",
            "misbehaviour.SIMB.drop_rate",
            2.0,
            id="in a table of venues",
        ),
        pytest.param("[misbehaviour.SIMB]\ndrop_rate = 'x'", "misbehaviour.SIMB.drop_rate", "x", id="type in a table"),
        pytest.param("[obligations.roles]\na = [0]\nb = ['x']", "obligations.roles.b", ["x"], id="entry of a table"),
    ],
)
def test_bad_value_names_field_and_value(tmp_path: Path, text: str, field: str, value: object) -> None:
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, text), {})
    assert (caught.value.fields["field"], caught.value.fields["value"]) == (field, value)


def leaves(settings: msgspec.Struct, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every key that a user can set, with its value, in all sections."""
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if isinstance(value, msgspec.Struct):
            yield from leaves(value, (*at, name))
        elif not isinstance(value, dict):
            yield (*at, name), value


FULL = msgspec.structs.replace(Settings(), misbehaviour={"SIMA": Misbehaviour()})
KEYS = {".".join(at): value for at, value in leaves(FULL)} | {
    f"misbehaviour.SIMA.{name}": value for (name,), value in leaves(Misbehaviour())
}
BAD: tuple[object, ...] = (-1, 0, 7, 10**9, 1e300, float("inf"), float("nan"), "?", "2015-12-25", [""])


def refused_key(text: str) -> str | None:
    """What the refusal of these settings names, None where they are taken."""
    try:
        from_json(text)
    except SettingsError as error:
        return str(error.fields["field"])
    return None


def test_every_refusal_names_a_key_that_can_be_set_and_the_value_that_was() -> None:
    """Whatever is put anywhere: who reads the message finds the key in `axiom settings` and changes it there."""
    refusing: Counter[str] = Counter()
    for key in KEYS:
        for bad in BAD:
            section: dict[str, object] = {}
            tree: dict[str, object] = section
            *path, name = key.split(".")
            for part in path:
                section[part] = section = {}
            section[name] = bad
            named = refused_key(msgspec.json.encode(tree).decode())
            if named is not None:
                refusing[key.partition(".")[0]] += 1
                assert named in KEYS, (key, bad)
                # The whole refuses what contradicts another section, and names the one to change.
                assert named.rpartition(".")[0] == key.rpartition(".")[0] or key == "limits.stale_ms", (key, bad)
    assert refusing.keys() == set(Settings.__struct_fields__)


def test_every_section_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    """No package may forget to forbid unknown fields: a misspelt limit would be no limit."""
    for section in Settings.__struct_fields__:
        if section != "misbehaviour":
            with pytest.raises(SettingsError, match=f"unknown key '{section}.no_such_key'"):
                load(write(tmp_path, f"[{section}]\nno_such_key = 1"), {})


@pytest.mark.parametrize(
    ("data", "what"),
    [(b"[run\n", "not TOML"), (b"a = = 1", "not TOML"), (b"\xff\xfe\x00", "cannot be read")],
)
def test_file_that_is_no_toml_is_refused_by_path(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "axiom.toml"
    path.write_bytes(data)
    with pytest.raises(SettingsError, match=what) as caught:
        load(path, {})
    assert caught.value.fields["value"] == str(path)
    assert isinstance(caught.value, InputError)


def test_absent_file_is_refused_by_path(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "none.toml", {})


def test_environment_goes_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[run]\nseed = 7\nmax_entries = 5\n")
    found = load(path, {f"{ENV_PREFIX}RUN__SEED": "9", f"{ENV_PREFIX}EXCHANGE__JOIN_PROBABILITY": "0.75"})
    assert (found.run.seed, found.run.max_entries) == (9, 5)
    assert found.exchange.join_probability == 0.75
    assert load(None, {f"{ENV_PREFIX}RUN__FSYNC": "true"}).run.fsync is True


def test_environment_reaches_tables_whose_keys_are_names() -> None:
    found = load(None, {f"{ENV_PREFIX}MISBEHAVIOUR__SIMA__DROP_RATE": "0.25", f"{ENV_PREFIX}quoting__Size": "5"})
    assert found.misbehaviour == {"SIMA": Misbehaviour(drop_rate=0.25)}
    assert found.quoting.size == 5
    with pytest.raises(SettingsError) as caught:
        load(None, {f"{ENV_PREFIX}MISBEHAVIOUR__SIMA__DROP_RATE": "2"})
    assert caught.value.fields == {"field": "misbehaviour.SIMA.drop_rate", "value": 2.0}


def test_every_key_can_be_set_from_the_environment() -> None:
    """With its default: nothing changes, and nothing is refused."""
    for key, value in KEYS.items():
        if isinstance(value, bool | int | float | str):
            name = key.replace(".", "__")
            name = name if key.startswith("misbehaviour.") else name.upper()
            found = load(None, {ENV_PREFIX + name: str(value).lower() if isinstance(value, bool) else str(value)})
            assert found == (FULL if key.startswith("misbehaviour.") else Settings()), key


@pytest.mark.parametrize(
    ("name", "text", "field"),
    [
        ("RUN__SEDE", "1", "run.sede"),
        ("RUN__SEED", "x", "run.seed"),
        ("RUN", "1", "run"),
        ("RUN__SEED__DEEP", "1", "run.seed"),
    ],
)
def test_environment_is_refused_as_the_file_is(tmp_path: Path, name: str, text: str, field: str) -> None:
    path = write(tmp_path, "[run]\nseed = 7\n")
    with pytest.raises(SettingsError) as caught:
        load(path, {f"{ENV_PREFIX}{name}": text})
    assert str(caught.value.fields["field"]).startswith(field)


def test_settings_of_a_journal_are_those_of_the_run(tmp_path: Path) -> None:
    found = load(write(tmp_path, "[run]\nseed = 7\n[limits]\n"), {})
    assert from_json(found.to_json()) == found
    assert from_json(Settings().to_json()) == Settings()
    assert from_json(found.to_json()).to_json() == found.to_json()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sped": 1}', '{"run": {"seed": "x"}}'])
def test_settings_of_another_build_are_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        from_json(text)


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        Settings().run.seed = 2  # type: ignore[misc]


def test_party_rides_on_messages_as_it_was_set(tmp_path: Path) -> None:
    text = '[party]\naccount = "A"\ncapacity = "firm"\nclearing_firm = "C"\nmarket_maker_id = "M"\n'
    party = load(write(tmp_path, text), {}).party.party()
    assert (party.account, party.capacity, party.clearing_firm, party.market_maker_id) == ("A", "firm", "C", "M")
    with pytest.raises(SettingsError, match="capacity"):
        load(write(tmp_path, '[party]\ncapacity = "king"\n'), {})
