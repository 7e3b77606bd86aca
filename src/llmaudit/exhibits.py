"""What a report shows of an audit besides its estimates: figures, tables, settings, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Bars", "Curve", "Curves", "Figure", "Heatmap", "Intervals", "Panel", "Scatter", "Setting", "Table"]


@dataclass(frozen=True, slots=True)
class Intervals:
    """A figure: one point with an interval per row."""

    title: str
    axis: str
    """What the horizontal axis shows, with its unit."""
    rows: tuple[tuple[str, float | None, float | None, float | None], ...]
    """(label, value, low, high); low and high are None where there is no interval."""
    zero: bool = False
    """Whether to draw a line at zero."""
    limits: tuple[float, ...] = ()
    """Limits to draw."""
    type: Literal["intervals"] = "intervals"


@dataclass(frozen=True, slots=True)
class Bars:
    """A figure: one bar per row."""

    title: str
    axis: str
    rows: tuple[tuple[str, float | None], ...]
    reference: float | None = None
    """A value to mark, such as 1 for a ratio."""
    type: Literal["bars"] = "bars"


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through points, such as an effect over doses."""

    name: str
    points: tuple[tuple[float, float | None, float | None, float | None], ...]
    """(horizontal value, value, low, high); low and high are None where there is no interval."""
    labels: tuple[str, ...] = ()
    """What to write at the points, one each; empty for nothing."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes of a figure of curves."""

    axis: str
    """What the vertical axis shows, with its unit."""
    curves: tuple[Curve, ...]
    zero: bool = False
    """Whether to draw a line at zero."""
    limits: tuple[float, ...] = ()
    """Limits to draw."""


@dataclass(frozen=True, slots=True)
class Curves:
    """A figure: panels of curves, one above the other on one horizontal axis."""

    title: str
    axis: str
    """What the horizontal axis shows, with its unit."""
    panels: tuple[Panel, ...]
    logarithmic: bool = False
    """Whether the horizontal axis is logarithmic; its values are then above zero."""
    type: Literal["curves"] = "curves"


@dataclass(frozen=True, slots=True)
class Heatmap:
    """A figure: a number per pair, as shades."""

    title: str
    axis: str
    """What the numbers are, with their unit."""
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    """One tuple per row."""
    type: Literal["heatmap"] = "heatmap"


@dataclass(frozen=True, slots=True)
class Scatter:
    """A figure: one named point per thing, such as quality against cost."""

    title: str
    axis: str
    """What the horizontal axis shows, with its unit."""
    vertical: str
    """What the vertical axis shows, with its unit."""
    points: tuple[tuple[str, float | None, float | None, float | None, float | None], ...]
    """(name, horizontal value, value, low, high); low and high are None where there is no interval."""
    front: tuple[str, ...] = ()
    """Names of the points that no other beats; they are joined. Empty for none."""
    logarithmic: bool = False
    """Whether the horizontal axis is logarithmic; its values are then above zero."""
    type: Literal["scatter"] = "scatter"


Figure = Intervals | Bars | Curves | Heatmap | Scatter


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the report."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int | None, ...], ...]
    note: str = ""
    first: bool = False
    """Whether it stands before the estimates, for what must be read first."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the experiment, for the report's list of prompts and settings."""

    name: str
    value: str
