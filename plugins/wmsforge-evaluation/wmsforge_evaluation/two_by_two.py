"""The evaluator `two-by-two`: base and tuned model, each without and with retrieved passages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from wmsforge import options
from wmsforge.files import write_atomically
from wmsforge.options import ChatModelRef, Env, RetrieverRef
from wmsforge.records import Artifact
from wmsforge.steps.base import EnvironmentUse
from wmsforge.steps.evaluator import Evaluator
from wmsforge_evaluation.asking import Asking, Item
from wmsforge_evaluation.bootstrap import Bootstrap
from wmsforge_evaluation.figures import VARIANTS, Outcome, Outcomes
from wmsforge_evaluation.groups import groups
from wmsforge_evaluation.judge import Judged, Opinion, count, judge
from wmsforge_evaluation.outcomes import outcomes
from wmsforge_evaluation.prompts import hit
from wmsforge_evaluation.report import Example, render_report
from wmsforge_evaluation.results import summarise
from wmsforge_evaluation.rows import HeldOut, spread
from wmsforge_evaluation.subject import read_subject
from wmsforge_evaluation.wording import about, notes

OWN = "own"
"""The item that is the question of the options."""


class TwoByTwo(Evaluator):
    """Measures a tuned model against its base, on held-out rows; both with and without passages."""

    version = "2"

    class Options(options.Options):
        base: str | None = Field(
            default=None, description="Folder, GGUF file or hub id of the base; by default what the model was made of."
        )
        rows: Path | None = Field(
            default=None,
            description="Dataset file of held-out rows; by default those that training held out, which also chose its "
            "checkpoint. Rows of a file that training was not given decided nothing.",
        )
        retriever: RetrieverRef = Field(description="Where the passages are found.")
        top_k: int = Field(default=3, ge=1, description="Passages that a model is shown.")
        scored: int = Field(default=200, ge=2, description="Rows whose reference answers are scored, evenly spread.")
        answered: int = Field(
            default=40, ge=2, description="Of these, how many all four variants answer freely, evenly spread."
        )
        max_tokens: int = Field(default=200, ge=1, description="Tokens of an answer at most.")
        examples: int = Field(default=10, ge=0, description="Questions that the report shows with all answers.")
        question: str = Field(
            default="크로스도킹이 뭔가요?",
            description="A question of your own that the report shows first; may be empty.",
        )
        judge: ChatModelRef | None = Field(
            default=None, description="Model that compares the answers of base and tuned, each pair in both orders."
        )
        samples: int = Field(default=1000, ge=100, description="Bootstrap samples of an interval.")
        env: Env = Field(default="auto", description="Where it runs: auto, cpu, cuda, current, or {python: PATH}.")

    options: Options

    def inputs(self) -> Sequence[Path]:
        return [self.options.rows] if self.options.rows else []

    def environments(self) -> Sequence[EnvironmentUse]:
        return [EnvironmentUse("evaluation", self.options.env)]

    async def evaluate(self, subject: Artifact) -> Artifact:
        """See `Evaluator.evaluate`. `facts` are those of `Results`."""
        told = self.options
        measured = read_subject(subject, told.base, told.rows, told.scored, self.context.step)
        items = await self._items(measured.rows)
        asking = Asking(items, self.context.language, told.max_tokens, self.context.folder)
        answers = await asking.ask(measured, await self.context.environment("evaluation", told.env))
        rows = [item for item in items if item.name != OWN]
        found = outcomes(rows, answers)
        bootstrap = Bootstrap(groups(measured.rows), told.samples, self.context.seed)
        judge_name, judged = await self._judged(measured.rows, found, bootstrap)
        hits = [hit(item.row, item.passages) for item in rows]
        results = summarise(measured, found, hits, bootstrap, judge_name, judged)
        facts = results.facts()
        page = render_report(
            language=self.context.language,
            facts=about(results),
            drops=results.drops,
            figures=results.figures,
            examples=self._examples(items, answers),
            notes=notes(results),
        )
        path = self.context.folder / "report.html"
        write_atomically(path, page.encode())
        write_atomically(path.with_suffix(".json"), json.dumps(facts, ensure_ascii=False, indent=1).encode())
        return Artifact(kind="report", path=str(path), also=(str(path.with_suffix(".json")),), facts=facts)

    async def _items(self, rows: Sequence[HeldOut]) -> list[Item]:
        """Return the rows with their passages; last the question of the options, which has no reference."""
        retriever = await self.context.retriever(self.options.retriever)
        answered = set(spread(range(len(rows)), self.options.answered))
        asked = [(str(number), row, number in answered) for number, row in enumerate(rows)]
        if self.options.question:
            asked.append((OWN, HeldOut([{"role": "user", "content": self.options.question}], ""), True))
        return [
            Item(name, row, await retriever.search(row.question, self.options.top_k), answer)
            for name, row, answer in asked
        ]

    def _examples(self, items: Sequence[Item], answers: Mapping[str, Mapping[str, Any]]) -> list[Example]:
        own = [item for item in items if item.name == OWN]
        others = spread([item for item in items if item.answer and item.name != OWN], self.options.examples)
        return [
            Example(item.row.question, item.row.reference, {v: answers[f"{v}-{item.name}"]["answer"] for v in VARIANTS})
            for item in own + others
        ]

    async def _judged(
        self, rows: Sequence[HeldOut], outcomes: Outcomes, bootstrap: Bootstrap
    ) -> tuple[str, dict[str, Judged]]:
        """Return who judged, and what it found of each tuned variant against its base."""
        if self.options.judge is None:
            return "", {}
        chat = await self.context.chat(self.options.judge)

        async def opinion(row: HeldOut, base: Outcome, tuned: Outcome) -> Opinion | None:
            if base.answer is None or tuned.answer is None:
                return None
            return await judge(chat, self.context.language, row.question, row.reference, base.answer, tuned.answer)

        judged = {}
        for end in ("", "_rag"):
            base, tuned = outcomes[f"base{end}"], outcomes[f"tuned{end}"]
            opinions = await asyncio.gather(*map(opinion, rows, base, tuned))
            judged[f"tuned{end}"] = count(opinions, sum(row.answer is not None for row in tuned), bootstrap)
        return chat.name, judged
