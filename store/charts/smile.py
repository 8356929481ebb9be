"""The fitted smile of a few expiries against the market that it was fitted to."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.chain import Chain
from domain.price import PRICE_SCALE
from pricing.implied_vol import implied_vol
from pricing.svi import RawSvi
from store.charts.figure import (
    BLUE,
    ORANGE,
    Chart,
    Trace,
    chart,
    dots,
    line,
    local_times,
    panel_titles,
    panels,
    rounded,
)
from store.day import Fit
from store.record import RunRecord

PANELS: Final = 4
_MIN_DELTA: Final = 0.02
_GRID: Final = 60

Floats = npt.NDArray[np.float64]


class Slice(NamedTuple):
    """One expiry: the market's volatilities and the fit on a grid, both against k = ln(K / F)."""

    name: str
    k: Floats
    market: Floats
    grid: Floats
    fit: Floats
    rmse: float


def smile(record: RunRecord) -> Chart:
    """Fit and market of up to four expiries, at the last fit of the session."""
    day = record.day
    slices = [] if day.fit is None or day.chain is None else slices_of(day.fit, day.chain)
    grid = (2, 2) if len(slices) > 2 else (1, max(len(slices), 1))
    axes = panels(*grid)
    data: list[Trace] = []
    for number, one in enumerate(slices):
        suffix = str(number + 1) if number else ""
        place = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}", "showlegend": number == 0}
        data.append(
            dots(
                rounded(one.k), one.market, "market, middle of the NBBO", ORANGE, size=5, legendgroup="market", **place
            )
        )
        data.append(line(rounded(one.grid), one.fit, "our surface", BLUE, legendgroup="fit", **place))
        axes[f"yaxis{suffix}"] |= {"tickformat": ".0%"}
        if number >= len(slices) - grid[1]:
            axes[f"xaxis{suffix}"] |= {"title": {"text": "k = ln(strike / forward)"}}
    when = local_times([day.fit.surface.ts_event])[0][11:19] if day.fit else ""
    note = (
        f"Fit of {when} New York time against the options out of the money with |delta| above 0.02, whose prices are "
        "turned into volatilities as European; where an option is American the difference is small out of the money."
        if slices
        else "No surface was fitted in the session."
    )
    return chart(
        "smile",
        "Implied volatility: fit against market",
        note,
        data,
        height=520 if grid[0] > 1 else 360,
        is_wide=True,
        annotations=panel_titles(axes, [f"{one.name}, fit error {one.rmse * 100:.2f} vol points" for one in slices]),
        legend={"orientation": "h", "y": 1.06, "yanchor": "bottom", "x": 0},
        margin={"l": 64, "r": 16, "t": 56, "b": 44},
        **axes,
    )


def slices_of(fit: Fit, chain: Chain) -> list[Slice]:
    """Up to four fitted expiries, spread from the nearest to the farthest."""
    found = [one for row in range(len(fit.surface.frame)) if (one := _slice(fit, chain, row)) is not None]
    if len(found) <= PANELS:
        return found
    return [found[place] for place in np.linspace(0, len(found) - 1, PANELS).round().astype(int).tolist()]


def _slice(fit: Fit, chain: Chain, row: int) -> Slice | None:
    surface, forwards, view = fit.surface.frame, fit.forwards.frame, fit.view
    expiry, years, forward = int(surface.expiry[row]), float(surface.years[row]), float(surface.forward[row])
    of_expiry = np.flatnonzero(forwards.expiry == expiry)
    if not len(of_expiry) or not years > 0 or not np.isfinite([forward, surface.a[row]]).all():
        return None
    where = chain.expiry_slice(expiry)
    k = np.log(chain.strike[where] / forward)
    bid, ask, delta = view.bid[where], view.ask[where], np.abs(view.delta[where])
    is_out = chain.sign[where] * k >= 0
    rows = np.flatnonzero(is_out & (bid > 0) & (ask > 0) & (delta >= _MIN_DELTA))
    if len(rows) < 3:
        return None
    middle = (bid[rows] + ask[rows]) / 2 / PRICE_SCALE
    discount = float(forwards.discount[of_expiry[0]])
    vol, _ = implied_vol(middle, forward, chain.strike[where][rows], years, discount, chain.sign[where][rows])
    order = np.argsort(k[rows], kind="stable")
    k, vol = k[rows][order], vol[order]
    grid: Floats = np.linspace(float(k[0]), float(k[-1]), _GRID, dtype=np.float64)
    names = ("a", "b", "rho", "m", "sigma")
    svi = RawSvi(*(np.asarray(getattr(surface, name)[row], np.float64) for name in names))
    fitted: Floats = np.sqrt(np.maximum(svi.w(grid), 0.0) / years)
    root, day = chain.expiries[expiry]
    return Slice(f"{root} {day.isoformat()}", k, vol, grid, fitted, float(surface.rmse[row]))
