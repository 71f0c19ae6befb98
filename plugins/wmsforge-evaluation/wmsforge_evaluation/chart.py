"""Bars with their intervals, as SVG."""

from __future__ import annotations

from html import escape

from wmsforge_evaluation.bootstrap import Interval
from wmsforge_evaluation.figures import VARIANTS, Figures

_COLOURS = {"base": "#9aa5b1", "base_rag": "#5b8db8", "tuned": "#e0a458", "tuned_rag": "#3f9b6c"}
_WIDTH, _BAR, _LEFT, _RIGHT = 480, 22, 135, 60  # narrow, so that its words stay legible on a phone


def plot(title: str, name: str, figures: Figures) -> str:
    """Return a heading and one bar a variant; nothing if none was measured."""
    bars = [(variant, interval) for variant, row in figures.items() if (interval := row[name]) is not None]
    if not bars:
        return ""
    scale = (_WIDTH - _LEFT - _RIGHT) / (max(_end(interval) for _, interval in bars) or 1.0)
    shapes = [_bar(variant, interval, place * (_BAR + 8), scale) for place, (variant, interval) in enumerate(bars)]
    said = escape(title, quote=True)
    return (
        f"<h3>{escape(title)}</h3><svg viewBox='0 0 {_WIDTH} {len(bars) * (_BAR + 8)}' role='img' "
        f"aria-label='{said}'>{''.join(shapes)}</svg>"
    )


def _bar(variant: str, interval: Interval, top: int, scale: float) -> str:
    middle = top + _BAR / 2
    end = _LEFT + _end(interval) * scale
    shapes = [
        f"<text x='0' y='{middle + 5}' font-size='14'>{escape(VARIANTS[variant])}</text>",
        f"<rect x='{_LEFT}' y='{top}' width='{interval.value * scale:.1f}' height='{_BAR}' "
        f"fill='{_COLOURS[variant]}'/>",
        f"<text x='{end + 6:.1f}' y='{middle + 5}' font-size='13'>{interval.value:.3f}</text>",
    ]
    if interval.low is not None:
        low = _LEFT + interval.low * scale
        shapes.append(
            f"<line x1='{low:.1f}' x2='{end:.1f}' y1='{middle}' y2='{middle}' stroke='#1d2733' stroke-width='2'/>"
        )
    return "".join(shapes)


def _end(interval: Interval) -> float:
    return interval.value if interval.high is None else interval.high
