"""Plots as inline SVG: an outline that stretches with the page, its labels as text beside it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDTH, HEIGHT = 1000, 100
_LEAST = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A plot for the template ``plot.html``."""

    title: str
    kind: str
    """Its colour: ``rate`` or ``lag``."""
    svg: Markup
    ticks: list[str]
    """Of the value, from the top."""
    times: list[str]
    newest: str
    highest: str
    described: str
    """What the plot shows, for those who do not see it."""


def plot(
    title: str,
    kind: str,
    values: Sequence[float | None],
    *,
    start: float,
    step: float,
    words: Callable[[float], str],
    tops: Sequence[float] = (),
) -> Plot:
    """Plot ``values``, one for each ``step`` seconds from ``start`` on; None is a gap.

    ``tops`` are the values the scale may end at; beyond them, and without any, round numbers.
    """
    known = [value for value in values if value is not None]
    most = max(known, default=0.0)
    top = next((each for each in tops if each >= most), 0.0) or _round_up(most)
    newest, highest = (known[-1], max(known)) if known else (0.0, 0.0)
    nothing = "nothing was reported in this time"
    return Plot(
        title=title,
        kind=kind,
        svg=_svg(values, top),
        ticks=[words(top), words(top / 2), "0"],
        times=_times(start, step * len(values)),
        newest=words(newest) if known else "none",
        highest=words(highest) if known else "none",
        described=f"newest {words(newest)}, highest {words(highest)}" if known else nothing,
    )


def _svg(values: Sequence[float | None], top: float) -> Markup:
    wide = WIDTH / max(1, len(values))
    runs: list[list[tuple[float, float]]] = []
    for index, value in enumerate(values):
        if value is None:
            continue
        point = ((index + 0.5) * wide, HEIGHT - HEIGHT * value / top)
        if runs and index and values[index - 1] is not None:
            runs[-1].append(point)
        else:
            runs.append([point])
    line, area = "", ""
    for points in runs:
        # One value alone has no length: it is drawn as wide as its piece of time.
        (x, y), alone = points[0], len(points) == 1
        run = [(x - wide / 2, y), (x + wide / 2, y)] if alone else points
        first, last = run[0][0], run[-1][0]
        text = "L".join(f"{x:.1f} {y:.2f}" for x, y in run)
        line += f"M{text}"
        area += f"M{first:.1f} {HEIGHT}L{text}L{last:.1f} {HEIGHT}Z"
    grid = "".join(f'<path class="grid" d="M0 {y}H{WIDTH}"/>' for y in (0, HEIGHT // 2, HEIGHT))
    return Markup(  # noqa: S704 # numbers of ours only
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'{grid}<path class="area" d="{area}"/><path class="line" d="{line}"/></svg>'
    )


def _round_up(value: float) -> float:
    """Return the next round number, so that labels are short."""
    if value <= 0:
        return 1.0
    value, size = max(value, _LEAST), 1.0
    while size * 10 <= value:
        size *= 10
    while size > value:
        size /= 10
    return next(size * factor for factor in (1, 2, 4, 5, 8, 10, 20) if size * factor >= value)


def _times(start: float, length: float) -> list[str]:
    shape = "%H:%M" if length <= 2 * 86_400 else "%d %b"
    return [datetime.fromtimestamp(start + length * part / 4, UTC).strftime(shape) for part in range(5)]
