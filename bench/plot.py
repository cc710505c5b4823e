"""Bars as SVG: one for each contestant, the median as its length, a line from the least to the greatest."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

WIDTH = 760
LABEL = 130
NUMBER = 130
ROW = 26
TOP = 34
OWN = "#2f6fb0"
OTHER = "#a9b4c0"
STYLE = "font-family:system-ui,sans-serif;font-size:13px"


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One contestant's figure."""

    label: str
    median: float
    low: float
    high: float
    text: str
    own: bool


def bars(title: str, rows: list[Bar]) -> str:
    """Return the picture; readable on white and on black, for it brings its own ground."""
    height = TOP + ROW * len(rows) + 10
    longest = max((row.high for row in rows), default=0.0) or 1.0
    scale = (WIDTH - LABEL - NUMBER) / longest
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" rx="4" fill="#ffffff"/>',
        f'<g style="{STYLE}" fill="#1d2733">',
        f'<text x="10" y="21" font-weight="600">{escape(title)}</text>',
        *(_row(row, TOP + ROW * place, scale) for place, row in enumerate(rows)),
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


def _row(row: Bar, top: float, scale: float) -> str:
    middle = top + ROW / 2
    low, high = LABEL + row.low * scale, LABEL + row.high * scale
    return (
        f'<text x="{LABEL - 8}" y="{middle + 4:g}" text-anchor="end">{escape(row.label)}</text>'
        f'<rect x="{LABEL}" y="{top + 4:g}" width="{max(row.median * scale, 1):.1f}" height="{ROW - 8}"'
        f' fill="{OWN if row.own else OTHER}"/>'
        f'<path d="M{low:.1f} {middle:g}H{high:.1f}M{low:.1f} {middle - 4:g}v8M{high:.1f} {middle - 4:g}v8"'
        ' stroke="#1d2733" fill="none"/>'
        f'<text x="{max(high, LABEL) + 8:.1f}" y="{middle + 4:g}">{escape(row.text)}</text>'
    )
