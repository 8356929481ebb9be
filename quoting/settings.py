"""What shapes our quotes. Refused values name their field; defaults suit a chain of US equity options."""

from __future__ import annotations

import msgspec

from domain.errors import InputError


def _require(condition: bool, phrase: str, field: str, value: object) -> None:  # noqa: FBT001 - the condition is the call's subject
    if not condition:
        raise InputError(phrase, field=field, value=value)


class MmpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Market-maker protection of one underlying: each limit trips on its own, inside a rolling window of event time.

    Attributes:
        window_ms: Length of the window, milliseconds.
        max_fills: Executions of quotes.
        max_contracts: Contracts traded by quotes, both sides added.
        max_delta: Absolute net delta taken on, shares.
        max_vega: Absolute net vega taken on, dollars per 1.00 of volatility.

    A limit trips when it is reached, except the two net ones, which trip when they are exceeded. Minute bars report all
    fills of a minute at its close, so on them any window counts at least a minute.

    The defaults follow from what is shown, `QuotingSettings.size` = 10 a side at each of two venues, and from the
    `held_*` limits of the risk gate, with a 750-dollar stock of 25 % volatility in mind:

    - A customer takes one series, and all that we show of it is 20 contracts. `max_contracts` is five such series: who
      takes those within a second knows something. `max_fills` is a quarter of it, as an execution of ours has about
      four contracts; it catches many small ones.
    - `max_delta` is what these 100 contracts bring one way at the money, delta 0.5, or 50 of them deep in the money.
      That is a quarter of `held_delta`, so that three trips in a row still leave the gate room, it is what the hedger
      works off within the window (`max_clip` every `pause_ms`), and a minute's standard deviation of the stock, 0.60
      dollars, costs 3,000 dollars on it.
    - `max_vega` is 50 contracts of three months at the money: vega spot sqrt(T) / sqrt(2 pi) = 150 a share. A point of
      volatility costs 7,500 dollars on it, and it is a twenty-fifth of `held_vega`.

    On the recorded GOOG day the busiest minute has 13 fills, 26 contracts and 1,500 shares of net delta.
    """

    window_ms: int = 1_000
    max_fills: int = 25
    max_contracts: int = 100
    max_delta: float = 5_000.0
    max_vega: float = 750_000.0

    def __post_init__(self) -> None:
        """Refuse a limit that could never trip or always would."""
        for name in ("window_ms", "max_fills", "max_contracts", "max_delta", "max_vega"):
            value = getattr(self, name)
            _require(value > 0, "must be positive", f"mmp.{name}", value)


class QuotingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the quoter prices, sizes and moves quotes.

    The model (`quoting.spread`, asymptotic GLFT):

    Attributes:
        risk_aversion: Absolute risk aversion gamma, 1/dollar.
        arrival_rate: A: fills per contract and year of a quote at the theo.
        decay_share: 1 / k as a share of the market's half width in that contract. How wide others quote is the only
            thing a quote says about how fast interest decays with distance: where the market is a dollar wide, a dime
            of improvement changes little. With a small gamma it is also our half spread as a share of the market's.
        vol_of_vol: Volatility of the level of volatility, relative, per square root of year: sigma_v = vol_of_vol times
            the chain's vega-weighted volatility.
        max_inventory: Bound of the effective inventory q, contracts. There the size on the side that adds is smallest.
        width_memory: Weight of the newest observed width in the smoothed one, in (0, 1].

    Floors and widening:

    Attributes:
        min_edge_ticks: Least distance to the theo on either side, ticks. At least half a tick: quotes are never locked.
        min_edge_errors: The same in multiples of `theo_error`.
        uncertainty_errors: Multiples of `theo_error` that are added to the half spread.
        one_sided_widening: Factor on c where the market shows one side only.
        nbbo_fresh_s: Age up to which the NBBO of a contract is taken as new, seconds.
        stale_widening: Added to the factor on c for each further `nbbo_fresh_s` of age, up to `max_stale_widening`.
        max_stale_widening: Bound of that addition.
        unseen_deviations: Standard deviations of what a contract can have moved while underlying or theos are late that
            are added to the half spread.
        max_width: Widest quote that we want to show, dollars: obligations ask for 5. Edge and the market's other side
            come first, so that it is not a promise.

    Sizes, contracts per venue:

    Attributes:
        size: Shown with no inventory and a certain theo.
        min_size: Smallest size shown on a side that is quoted.
        delta_budget: Shares that the whole book may take on if all that can fill in one direction does, all venues.
            Sizes are scaled down to it, never below `min_size`: the hard limit is the risk gate's.
        vega_budget: The same in dollars per 1.00 of volatility.

    Moving quotes:

    Attributes:
        requote_ticks: A side moves only by at least this many ticks, unless it has lost its edge or meets the market.
        replenish_share: A side is refilled when less than this share of its target size is left.
        refusal_backoff_s: After a refusal an entry stays away this long, seconds.
        silence_s: A venue that has not answered a mass quote for so long is purged, seconds.

    Staleness (`quoting.validity`: widen first, then pull):

    Attributes:
        feed_interval_s: Longest time between two updates of the underlying while its feed is well, seconds: the length
            of a bar. Underlying or theos that are older are late, and quotes widen by what the contracts can have moved
            in the time that was not seen. The default suits minute bars; a live feed wants 1 or 2.
        stale_intervals: Quotes are pulled when underlying or theos are older than so many intervals. At the default one
            missing bar widens and a second one pulls. `stale_s`, the product of the two, may not be above the risk
            gate's `stale_ms`, from which it refuses quotes: settings where it is are refused.
        stale_check_s: Quotes are looked at again, for their age, when nothing else happened for so long, seconds.

    The close:

    Attributes:
        pull_before_close_s: Quotes are pulled so long before the scheduled close, seconds: what would trade after that
            leaves no time to hedge it. At least an interval of the feed, whose last bar is known at the close only; at
            most a twentieth of the session, so that obligations can be met. The default is 0.5 % of a half day.

    Raises:
        InputError: A value is out of range.
    """

    risk_aversion: float = 2e-6
    arrival_rate: float = 5_000.0
    decay_share: float = 0.65
    vol_of_vol: float = 0.8
    max_inventory: float = 100.0
    width_memory: float = 0.5

    min_edge_ticks: float = 0.5
    min_edge_errors: float = 0.5
    uncertainty_errors: float = 0.25
    one_sided_widening: float = 1.5
    nbbo_fresh_s: float = 300.0
    stale_widening: float = 0.25
    max_stale_widening: float = 2.0
    unseen_deviations: float = 1.0
    max_width: float = 5.0

    size: int = 10
    min_size: int = 1
    delta_budget: float = 3_000_000.0
    vega_budget: float = 1_500_000_000.0

    requote_ticks: float = 2.0
    replenish_share: float = 0.7
    refusal_backoff_s: float = 5.0
    silence_s: float = 5.0

    feed_interval_s: float = 60.0
    stale_intervals: float = 2.5
    stale_check_s: float = 30.0

    pull_before_close_s: float = 60.0

    mmp: MmpSettings = msgspec.field(default_factory=MmpSettings)

    def __post_init__(self) -> None:
        """Refuse what makes no quote."""
        positive = (
            "risk_aversion", "arrival_rate", "decay_share", "vol_of_vol", "max_inventory", "nbbo_fresh_s", "max_width",
            "min_size", "delta_budget", "vega_budget", "silence_s", "feed_interval_s", "stale_check_s",
        )  # fmt: skip
        for name in positive:
            _require(getattr(self, name) > 0, "must be positive", f"quoting.{name}", getattr(self, name))
        not_negative = (
            "min_edge_errors", "uncertainty_errors", "stale_widening", "max_stale_widening", "requote_ticks",
            "refusal_backoff_s", "pull_before_close_s", "unseen_deviations",
        )  # fmt: skip
        for name in not_negative:
            _require(getattr(self, name) >= 0, "must not be negative", f"quoting.{name}", getattr(self, name))
        for name in ("width_memory", "replenish_share"):
            value = getattr(self, name)
            _require(0 < value <= 1, "must be above 0 and at most 1", f"quoting.{name}", value)
        _require(
            self.min_edge_ticks >= 0.5, "must be at least half a tick", "quoting.min_edge_ticks", self.min_edge_ticks
        )
        _require(
            self.one_sided_widening >= 1, "must be at least 1", "quoting.one_sided_widening", self.one_sided_widening
        )
        _require(self.size >= self.min_size, "must be at least min_size", "quoting.size", self.size)
        _require(self.stale_intervals >= 1, "must be at least 1", "quoting.stale_intervals", self.stale_intervals)

    @property
    def stale_s(self) -> float:
        """Age of underlying or theos from which nothing is quoted, seconds."""
        return self.feed_interval_s * self.stale_intervals
