"""What the report says around its figures: what was measured on what, and what a reader must know to judge it."""

from __future__ import annotations

from wmsforge_evaluation.figures import VARIANTS
from wmsforge_evaluation.judge import Judged
from wmsforge_evaluation.report import share
from wmsforge_evaluation.results import Results
from wmsforge_evaluation.subject import Subject

FEW_GROUPS = 20
"""Below this many the percentile bootstrap gives intervals that are clearly too narrow."""


def about(results: Results) -> list[tuple[str, str]]:
    """Return the lines above the tables."""
    subject, hits = results.subject, results.hit_rate
    rows = f"{len(subject.rows)}, in {results.groups} groups that share no document section"
    lines = [
        ("model", subject.path),
        ("base", subject.base),
        ("rows scored", f"{rows}; {results.answered} of them were answered freely"),
        ("what else they decided", _chose(subject)),
        ("retrieval hit rate", f"{share(hits)}, of {results.hit_rows} rows" if hits else "the rows name no sources"),
    ]
    for variant, told in results.judged.items():
        pair = f"{VARIANTS[variant]} against {VARIANTS[variant.replace('tuned', 'base')]}, by {results.judge}"
        lines.append((pair, _judged(told)))
    return lines


def notes(results: Results) -> list[str]:
    """Return what a reader must know to judge the figures."""
    found = [
        "The held-out loss is of the reference answers, every token weighing the same; no row was trained on. The end "
        "tokens are what the chat template writes after an answer. A base that has never seen the template pays much "
        "for them, and a tuned model learns them in a few steps: the loss of the content says what it knows.",
    ]
    if results.subject.chose:
        found.append(
            "Rows that chose the checkpoint are validation rows: of several checkpoints the one that suits them best "
            "was kept, so the tuned model's losses on them are lower than on new rows, and the drops larger. For rows "
            "that decided nothing, name a dataset file that training was not given: option rows."
        )
    if results.groups < FEW_GROUPS:
        found.append(
            f"Intervals rest on {results.groups} groups only. With fewer than {FEW_GROUPS} they are too narrow."
        )
    found += [
        "Intervals say nothing about another training with another seed.",
        "The base is asked with the tuned model's chat template, which it has not seen in training.",
        "chrF (0 to 1, as sentence_chrf of sacrebleu counts it, the mean over rows) and ROUGE-L compare with one "
        "reference; a right answer in other words scores low.",
        "Groundedness is the share of an answer's content words that one place of the passages holds; it is no proof.",
    ]
    if results.grounded < results.answered:
        found.append(
            f"Groundedness is of {results.grounded} of {results.answered} rows: for the others no passage was found."
        )
    if results.hit_rate:
        found.append(
            "A hit is a passage that the reference answer cites. Where the references were written from passages that "
            "this retriever found for the same question, as the step rag does, nearly every row hits by construction: "
            "the rate then shows that the index is whole, not that retrieval is good."
        )
    if results.subject.quantised:
        found.append(
            "The model is quantised. It was measured in software: its weights as they are stored, its activations "
            "rounded as its scheme says, the arithmetic between them in higher precision than a server's."
        )
    return found


def _judged(told: Judged) -> str:
    parts = [f"better in {share(told.better)} and worse in {share(told.worse)} of {told.pairs} pairs"]
    if told.swayed:
        parts.append(f"in {told.swayed} only the order decided, so they count as equal")
    if told.failed:
        parts.append(f"{told.failed} more got no verdict")
    return "; ".join(parts)


def _chose(subject: Subject) -> str:
    if subject.chose is None:
        return "unknown: nothing says whether training chose its checkpoint by these rows"
    if not subject.chose:
        return "nothing: none of them chose the checkpoint"
    training = subject.training
    when = f"step {training['best_step']} of {training.get('steps_planned', '?')}"
    stopped = ", and ended the training early" if training.get("steps", 0) < training.get("steps_planned", 0) else ""
    count = "all" if subject.chose == len(subject.rows) else f"{subject.chose} of {len(subject.rows)}"
    return f"the checkpoint: {count} were the validation rows that chose it ({when}){stopped}"
