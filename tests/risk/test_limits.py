from __future__ import annotations

import math

import msgspec
import pytest

from domain.errors import InputError
from risk.limits import Limits
from risk.settings import RiskSettings

NUMBERS = [f.name for f in msgspec.structs.fields(Limits) if f.name != "restricted"]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_a_bad_value_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(InputError) as refusal:
        Limits().with_changes({"max_quote_size": 5, name: value})
    assert refusal.value.fields["field"] == f"limits.{name}"


@pytest.mark.parametrize("name", NUMBERS)
def test_a_named_limit_and_no_other_changes(name: str) -> None:
    before = Limits()
    after = before.with_changes({name: 1})
    assert getattr(after, name) == 1
    assert type(getattr(after, name)) is type(getattr(before, name))
    assert all(getattr(after, other) == getattr(before, other) for other in NUMBERS if other != name)


@pytest.mark.parametrize("name", ["max_everything", "restricted", "__init__", ""])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="unknown limit"):
        Limits().with_changes({name: 1.0})


def test_nothing_named_is_refused() -> None:
    with pytest.raises(InputError, match="no limit"):
        Limits().with_changes({})


def test_a_count_must_be_whole_and_a_flag_0_or_1() -> None:
    with pytest.raises(InputError, match="whole"):
        Limits().with_changes({"max_quote_size": 1.5})
    with pytest.raises(InputError, match="0 or 1"):
        Limits().with_changes({"short_sale_restricted": 2})


def test_the_restricted_list_takes_and_drops_symbols() -> None:
    listed = Limits().with_changes({"restricted:XYZ": 1, "restricted:XYZ   160115C00100000": 1})
    assert listed.restricted == ("XYZ", "XYZ160115C00100000")
    assert listed.with_changes({"restricted:XYZ160115C00100000": 0}).restricted == ("XYZ",)
    for name, value in (("restricted:not a symbol", 1.0), ("restricted:XYZ", 0.5)):
        with pytest.raises(InputError):
            Limits().with_changes({name: value})


def test_settings_refuse_unknown_names_and_bad_values() -> None:
    assert msgspec.convert({"limits": {"max_quote_size": 3}}, RiskSettings).limits.max_quote_size == 3
    with pytest.raises(msgspec.ValidationError, match="max_quotes"):
        msgspec.convert({"limits": {"max_quotes": 3}}, RiskSettings)
    with pytest.raises(InputError, match="interval"):
        RiskSettings(mark_every_s=0)
    with pytest.raises(InputError, match="sorted"):
        Limits(restricted=("B", "A"))
    with pytest.raises(InputError, match="positive"):
        Limits(rate_window_ms=0)
