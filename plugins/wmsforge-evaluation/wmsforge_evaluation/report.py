"""The report: a table, a plot and answers side by side, in one HTML file without scripts or other files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from wmsforge_evaluation.bootstrap import Interval
from wmsforge_evaluation.figures import VARIANTS

NAMES = {
    "loss": "held-out loss, nats a token",
    "perplexity": "perplexity",
    "chrf": "chrF",
    "rouge_l": "ROUGE-L of morphemes",
    "groundedness": "groundedness",
}
_COLOURS = {"base": "#9aa5b1", "base_rag": "#5b8db8", "tuned": "#e0a458", "tuned_rag": "#3f9b6c"}
_WIDTH, _BAR, _LEFT = 640, 22, 150
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1d2733; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
th, td { border: 1px solid #d5dbe1; padding: .4rem .6rem; text-align: left; vertical-align: top; }
td.number { text-align: right; white-space: nowrap; } small { color: #5c6875; }
"""


@dataclass(frozen=True)
class Example:
    """One question with what each variant answers."""

    question: str
    reference: str
    answers: Mapping[str, str]


def render_report(
    *,
    title: str,
    figures: Mapping[str, Mapping[str, Interval | None]],
    facts: Sequence[tuple[str, str]],
    examples: Sequence[Example],
    notes: Sequence[str],
) -> str:
    """Return the page.

    Args:
        figures: By variant, then by figure.
        facts: Lines above the table: what was measured on what.
        examples: Questions with all answers.
        notes: What a reader must know to judge the figures.
    """
    parts = [
        f"<!doctype html><html><head><meta charset='utf-8'><title>{escape(title)}</title>",
        f"<style>{_STYLE}</style></head>",
        f"<body><h1>{escape(title)}</h1>",
        "<ul>" + "".join(f"<li>{escape(name)}: <b>{escape(text)}</b></li>" for name, text in facts) + "</ul>",
        "<h2>Figures</h2>",
        _table(figures),
        *(_plot(name, figures) for name in NAMES if name != "perplexity"),
        "<h2>Answers side by side</h2>",
        *(_example(example) for example in examples),
        "<h2>How to read this</h2>",
        "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul></body></html>",
    ]
    return "\n".join(part for part in parts if part)


def shown(interval: Interval | None, digits: int = 3) -> str:
    """Return `1.234 [1.1, 1.4]`."""
    if interval is None:
        return "not measured"
    return f"{interval.value:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _table(figures: Mapping[str, Mapping[str, Interval | None]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in ("variant", *NAMES.values()))
    lines = []
    for variant, row in figures.items():
        cells = "".join(f"<td class='number'>{shown(row[name])}</td>" for name in NAMES)
        lines.append(f"<tr><td>{escape(VARIANTS[variant])}</td>{cells}</tr>")
    return f"<table><tr>{head}</tr>{''.join(lines)}</table><small>In brackets: 95 % intervals by bootstrap.</small>"


def _plot(name: str, figures: Mapping[str, Mapping[str, Interval | None]]) -> str:
    """Return bars with their intervals."""
    bars = [(variant, interval) for variant, row in figures.items() if (interval := row[name]) is not None]
    if not bars:
        return ""
    scale = (_WIDTH - _LEFT - 60) / (max(interval.high for _, interval in bars) or 1.0)
    height = len(bars) * (_BAR + 8)
    shapes = []
    for place, (variant, interval) in enumerate(bars):
        top, middle = place * (_BAR + 8), place * (_BAR + 8) + _BAR / 2
        low, high = _LEFT + interval.low * scale, _LEFT + interval.high * scale
        shapes += [
            f"<text x='0' y='{middle + 5}' font-size='14'>{escape(VARIANTS[variant])}</text>",
            f"<rect x='{_LEFT}' y='{top}' width='{interval.value * scale:.1f}' height='{_BAR}' "
            f"fill='{_COLOURS[variant]}'/>",
            f"<line x1='{low:.1f}' x2='{high:.1f}' y1='{middle}' y2='{middle}' stroke='#1d2733' stroke-width='2'/>",
            f"<text x='{high + 6:.1f}' y='{middle + 5}' font-size='13'>{interval.value:.3f}</text>",
        ]
    return f"<h3>{escape(NAMES[name])}</h3><svg width='{_WIDTH}' height='{height}' role='img'>{''.join(shapes)}</svg>"


def _example(example: Example) -> str:
    rows: list[tuple[str, Any]] = [("reference", example.reference)] if example.reference else []
    rows += [(VARIANTS[variant], answer) for variant, answer in example.answers.items()]
    cells = "".join(f"<tr><td>{escape(who)}</td><td>{escape(text)}</td></tr>" for who, text in rows)
    return f"<h3>{escape(example.question)}</h3><table>{cells}</table>"
