"""ECharts' options for the pages' plots. Pure: data and words in, options out."""

from collections.abc import Mapping, Sequence
from typing import Any

# One hue for each behaviour, the same on every plot; told apart by the colour-blind (Okabe and Ito 2008).
HUES = ("#0072b2", "#e69f00", "#cc79a7", "#d55e00", "#009e73", "#56b4e9", "#b8a600")

# Legible and quiet on light and on dark.
LINES = {"lineStyle": {"color": "rgba(128, 128, 128, 0.3)"}}

# Where there is no room for all of a legend it is leafed through.
_LEGEND = {"type": "scroll", "top": 0, "itemWidth": 12, "itemHeight": 10, "itemGap": 6}

_GRID = {"left": 48, "right": 16, "top": 34, "bottom": 28}


def stacked(
    places: Sequence[str], rows: Mapping[str, Sequence[float]], *, ink: str, rotate: int = 0
) -> dict[str, Any]:
    """Bars over `places`, one on the other for each of `rows`."""
    series = [
        {"name": name, "type": "bar", "stack": "all", "data": list(values), "color": HUES[i % len(HUES)]}
        for i, (name, values) in enumerate(rows.items())
    ]
    return {
        "animation": False,
        "grid": _GRID,
        "legend": {**_LEGEND, "textStyle": {"color": ink, "fontSize": 11}, "show": len(rows) > 1},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "category", "data": list(places), "axisLabel": {"color": ink, "rotate": rotate}},
        "yAxis": {"type": "value", "minInterval": 1, "axisLabel": {"color": ink}, "splitLine": LINES},
        "series": series,
    }


def lying(places: Sequence[str], rows: Mapping[str, Sequence[float]], *, ink: str) -> dict[str, Any]:
    """As `stacked`, with bars that lie: for names that are long."""
    options = stacked(list(places)[::-1], {name: list(v)[::-1] for name, v in rows.items()}, ink=ink)
    names = {**options["xAxis"], "axisLabel": {"color": ink, "width": 110, "overflow": "truncate"}}
    options["xAxis"], options["yAxis"] = options["yAxis"], names
    options["grid"] = {**_GRID, "left": 124}
    return options


def scatter(
    rows: Mapping[str, Sequence[tuple[str, str, str]]], places: Sequence[str], *, ink: str
) -> dict[str, Any]:
    """A point for each (moment, place, what it stands for), coloured by the row it is of."""
    series = [
        {
            "name": name,
            "type": "scatter",
            "symbolSize": 12,
            "encode": {"x": 0, "y": 1, "tooltip": [0, 1]},
            "data": list(map(list, points)),
            "color": HUES[i % len(HUES)],
        }
        for i, (name, points) in enumerate(rows.items())
    ]
    names = {"color": ink, "width": 100, "overflow": "truncate"}
    return {
        "animation": False,
        "grid": {**_GRID, "left": 116},
        "legend": {**_LEGEND, "textStyle": {"color": ink, "fontSize": 11}},
        "tooltip": {"trigger": "item"},
        "xAxis": {"type": "time", "axisLabel": {"color": ink, "hideOverlap": True}},
        "yAxis": {"type": "category", "data": list(places), "axisLabel": names},
        "series": series,
    }


def shares(points: Sequence[tuple[str, float]], *, since: str, ink: str) -> dict[str, Any]:
    """Bars of per cent over time, from `since` on."""
    return {
        "animation": False,
        "grid": {**_GRID, "top": 10},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "time",
            "min": since,
            "max": "dataMax",
            "axisLabel": {"color": ink, "hideOverlap": True},
        },
        "yAxis": {"type": "value", "min": 0, "max": 100, "axisLabel": {"color": ink}, "splitLine": LINES},
        "series": [{"type": "bar", "data": list(map(list, points)), "color": HUES[4], "barMaxWidth": 12}],
    }
