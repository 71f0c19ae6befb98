"""The report: tables, plots and answers side by side, in one HTML file without scripts or other files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from wmsforge_evaluation.bootstrap import Interval
from wmsforge_evaluation.chart import plot
from wmsforge_evaluation.figures import LOSSES, VARIANTS, Figures

TITLE = "Base and tuned model, with and without passages"
NAMES = {
    "loss": "held-out loss, nats a token",
    "content_loss": "loss of the content",
    "end_loss": "loss of the end tokens",
    "perplexity": "perplexity",
    "chrf": "chrF",
    "rouge_l": "ROUGE-L of morphemes",
    "groundedness": "groundedness",
}
_PLOTTED = ("loss", "content_loss", "chrf", "rouge_l", "groundedness")
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1d2733; }
h1 { line-height: 1.2; } h3 { margin: 2rem 0 .5rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 1rem 0; } table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #d5dbe1; padding: .4rem .6rem; text-align: left; vertical-align: top; }
thead th { background: #f3f5f7; } thead th + th { text-align: right; }
tbody th { font-weight: 600; } small { color: #5c6875; }
td.number { text-align: right; white-space: nowrap; } td.number small { display: block; }
.facts th { width: 14rem; } .facts td { overflow-wrap: anywhere; }
.answers th { width: 8.5rem; } .answers td { white-space: pre-wrap; overflow-wrap: anywhere; }
svg { width: 100%; max-width: 34rem; height: auto; display: block; }
@media (max-width: 40rem) { .facts th { width: 38%; } .answers th { width: 5.5rem; } }
"""


@dataclass(frozen=True)
class Example:
    """One question with what each variant answers."""

    question: str
    reference: str
    answers: Mapping[str, str]


def render_report(
    *,
    language: str,
    facts: Sequence[tuple[str, str]],
    drops: Mapping[str, Interval | None],
    figures: Figures,
    examples: Sequence[Example],
    notes: Sequence[str],
) -> str:
    """Return the page.

    Args:
        language: Of questions and answers, such as ko.
        facts: What was measured on what, by name.
        drops: As `loss_drops` returns them.
        examples: Questions with all answers.
        notes: What a reader must know to judge the figures.
    """
    parts = [
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(TITLE)}</title>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<style>{_STYLE}</style></head>",
        f"<body><h1>{escape(TITLE)}</h1>",
        _facts(facts),
        "<h2>How far the tuned model's loss lies under the base's</h2>",
        _drops(drops),
        "<p><small>Below 0 the tuned model's loss is above the base's.</small></p>",
        "<h2>Figures</h2>",
        _figures(figures),
        "<p><small>In small type: 95 % intervals, by bootstrap over groups of rows that share a section.</small></p>",
        *(plot(NAMES[name], name, figures) for name in _PLOTTED),
        "<h2>Answers side by side</h2>",
        *(_example(example, language) for example in examples),
        "<h2>How to read this</h2>",
        "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul></body></html>",
    ]
    return "\n".join(part for part in parts if part)


def shown(interval: Interval | None, *, percent: bool = False) -> tuple[str, str]:
    """Return a figure and its interval in words."""

    def number(value: float) -> str:
        return f"{value:.1%}" if percent else f"{value:.3f}"

    if interval is None:
        return "not measured", ""
    if interval.low is None or interval.high is None:
        return number(interval.value), "no interval: one section"
    return number(interval.value), f"{number(interval.low)} to {number(interval.high)}"


def share(interval: Interval | None) -> str:
    """Return a share and its interval in one line."""
    value, spread = shown(interval, percent=True)
    return f"{value} ({spread})" if spread else value


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    lines = "".join(f"<tr><th scope='row'>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in facts)
    return f"<table class='facts'><tbody>{lines}</tbody></table>"


def _drops(drops: Mapping[str, Interval | None]) -> str:
    lines = [
        (words, [shown(drops[f"{name}_drop{end}"], percent=True) for end in ("", "_rag")])
        for name, words in LOSSES.items()
    ]
    return _table(("of the base's loss", "without passages", "with passages"), lines)


def _figures(figures: Figures) -> str:
    lines = [(VARIANTS[variant], [shown(row[name]) for name in NAMES]) for variant, row in figures.items()]
    return _table(("variant", *NAMES.values()), lines)


def _table(head: Sequence[str], lines: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> str:
    titles = "".join(f"<th scope='col'>{escape(text)}</th>" for text in head)
    rows = []
    for name, cells in lines:
        numbers = (f"<td class='number'>{escape(a)}<small>{escape(b)}</small></td>" for a, b in cells)
        rows.append(f"<tr><th scope='row'>{escape(name)}</th>{''.join(numbers)}</tr>")
    body = "".join(rows)
    return f"<div class='wide'><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"


def _example(example: Example, language: str) -> str:
    rows = [("reference", example.reference)] if example.reference else []
    rows += [(VARIANTS[variant], answer) for variant, answer in example.answers.items()]
    spoken = escape(language, quote=True)
    cells = "".join(
        f"<tr><th scope='row'>{escape(who)}</th><td lang='{spoken}'>{escape(text)}</td></tr>" for who, text in rows
    )
    question = f"<h3 lang='{spoken}'>{escape(example.question)}</h3>"
    return f"{question}<table class='answers'><tbody>{cells}</tbody></table>"
