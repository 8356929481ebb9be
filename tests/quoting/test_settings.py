"""Settings refuse what makes no quote, and name the field."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from domain.errors import InputError
from quoting.obligations import ObligationSettings
from quoting.settings import QuotingSettings


def test_defaults_are_valid_and_survive_encoding() -> None:
    settings = QuotingSettings()
    assert msgspec.json.decode(msgspec.json.encode(settings), type=QuotingSettings) == settings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("risk_aversion", 0.0),
        ("arrival_rate", -1.0),
        ("decay_share", 0.0),
        ("width_memory", 0.0),
        ("width_memory", 1.5),
        ("replenish_share", 0.0),
        ("min_edge_ticks", 0.4),
        ("min_edge_errors", -0.1),
        ("one_sided_widening", 0.9),
        ("requote_ticks", -1.0),
        ("min_size", 0),
        ("size", 0),
        ("delta_budget", float("nan")),
        ("feed_interval_s", 0.0),
        ("stale_intervals", 0.9),
        ("pull_before_close_s", -1.0),
        ("unseen_deviations", -0.1),
        ("silence_s", 0.0),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: float) -> None:
    fields: dict[str, Any] = {field: value}
    with pytest.raises(InputError, match=f"quoting.{field}"):
        QuotingSettings(**fields)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="sise"):
        msgspec.json.decode(b'{"sise": 3}', type=QuotingSettings)


def test_a_cadence_must_come() -> None:
    with pytest.raises(InputError, match=r"obligations\.cadence_s"):
        ObligationSettings(cadence_s=0.0)
