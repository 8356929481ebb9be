"""What all charts share: colours by role, New York time, panels.

A colour is a token such as `@blue`: the page replaces it by the colour of the theme, so that one figure serves light,
dark and print. The palette is that of Okabe and Ito, which colour-blind readers can tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.calendar import DAY_NS, ny_time

Trace = dict[str, Any]
Values = Sequence[Any] | npt.NDArray[Any]

INK, BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, GREY = (
    "@ink",
    "@blue",
    "@orange",
    "@green",
    "@red",
    "@purple",
    "@sky",
    "@yellow",
    "@grey",
)

_EPOCH_ORDINAL: Final = 719_163
_GAP: Final = 0.10


class Chart(NamedTuple):
    """A figure with what a reader needs to read it.

    Attributes:
        key: Identifier in the page.
        title: What is shown, with units.
        note: What it says, in a sentence; also the description for who cannot see it.
        figure: `data` and `layout` as Plotly takes them.
        is_wide: Whether it takes the whole width of the page.
    """

    key: str
    title: str
    note: str
    figure: dict[str, Any]
    is_wide: bool = False


def chart(
    key: str,
    title: str,
    note: str,
    data: Sequence[Trace],
    *,
    height: int = 340,
    is_wide: bool = False,
    **layout: Any,  # noqa: ANN401  # Plotly's layout is free-form
) -> Chart:
    """A chart of traces."""
    base: dict[str, Any] = {
        "height": height,
        "margin": {"l": 64, "r": 16, "t": 28, "b": 44},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hovermode": "closest",
        "showlegend": sum(trace.get("showlegend", True) for trace in data) > 1,
    }
    if not any(trace["x"] for trace in data):
        base["annotations"] = [{"text": "nothing to show", "showarrow": False, "xref": "paper", "yref": "paper"}]
        layout = {"xaxis": {"visible": False}, "yaxis": {"visible": False}}
    return Chart(key, title, note, {"data": list(data), "layout": base | layout}, is_wide)


def line(x: Values, y: Values, name: str, color: str, **more: Any) -> Trace:  # noqa: ANN401  # as above
    """A line."""
    width = more.pop("width", 1.8)
    dash = more.pop("dash", "solid")
    trace = {"type": "scatter", "mode": "lines", "x": list(x), "y": rounded(y), "name": name}
    return trace | {"line": {"color": color, "width": width, "dash": dash}} | more


def dots(x: Values, y: Values, name: str, color: str, **more: Any) -> Trace:  # noqa: ANN401  # as above
    """Markers; `symbol` and `size` as Plotly knows them."""
    marker = {"color": color, "symbol": more.pop("symbol", "circle"), "size": more.pop("size", 7)}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(x),
        "y": rounded(y),
        "name": name,
        "marker": marker | {"line": {"color": "@paper", "width": 0.5}} | more.pop("marker", {}),
    } | more


def panels(rows: int, columns: int, gap: float = _GAP) -> dict[str, Any]:
    """Axes of a grid of panels: `xaxis`, `yaxis`, `xaxis2` ... row by row, from the top."""
    axes: dict[str, Any] = {}
    width, height = (1 - gap * (columns - 1)) / columns, (1 - gap * 1.6 * (rows - 1)) / rows
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        suffix = str(number + 1) if number else ""
        left, top = column * (width + gap), 1 - row * (height + gap * 1.6)
        axes[f"xaxis{suffix}"] = {"domain": [left, left + width], "anchor": f"y{suffix}"}
        axes[f"yaxis{suffix}"] = {"domain": [max(top - height, 0.0), top], "anchor": f"x{suffix}"}
    return axes


def panel_titles(axes: dict[str, Any], titles: Sequence[str]) -> list[dict[str, Any]]:
    """Annotations that name each panel of `panels`, at its upper left."""
    found = []
    for number, text in enumerate(titles):
        suffix = str(number + 1) if number else ""
        left, top = axes[f"xaxis{suffix}"]["domain"][0], axes[f"yaxis{suffix}"]["domain"][1]
        place = {"xref": "paper", "yref": "paper", "x": left, "y": top, "xanchor": "left", "yanchor": "bottom"}
        found.append(place | {"text": f"<b>{text}</b>", "showarrow": False, "font": {"size": 12}})
    return found


def local_times(ts: Sequence[int]) -> list[str]:
    """Instants as New York wall-clock text, which Plotly shows as it is. All of one day."""
    if not len(ts):
        return []
    day, rest = ny_time(int(ts[0]))
    offset = (day.toordinal() - _EPOCH_ORDINAL) * DAY_NS + rest - int(ts[0])
    values = (np.asarray(ts, np.int64) + offset).astype("datetime64[ns]").astype("datetime64[ms]")
    return [str(text) for text in np.datetime_as_string(values)]


def rounded(values: Values, digits: int = 6) -> list[float | None]:
    """Six significant digits are more than a screen shows; what is not finite or not there becomes null."""
    return [None if v is None or not np.isfinite(v) else float(f"{float(v):.{digits}g}") for v in values]


def money(value: float | None, digits: int = 0) -> str:
    """Dollars for people: `-$1,235`. A dash where there is no number."""
    if value is None or not np.isfinite(value):
        return "–"
    sign = "-" if round(value, digits) < 0 else ""
    return f"{sign}${abs(value):,.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as a percentage. A dash where there is no number."""
    return "–" if value is None or not np.isfinite(value) else f"{value * 100:.{digits}f}%"
