"""The evaluator `two-by-two`: base and tuned model, each without and with retrieved passages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from wmsforge import options
from wmsforge.errors import StepError
from wmsforge.files import write_atomically
from wmsforge.options import ChatModelRef, Env, RetrieverRef
from wmsforge.records import Artifact, Retrieved, content_id
from wmsforge.steps.base import EnvironmentUse
from wmsforge.steps.evaluator import Evaluator
from wmsforge_evaluation.figures import VARIANTS, Outcome, as_json, loss_drop, table
from wmsforge_evaluation.judge import count, judge
from wmsforge_evaluation.metrics import chrf, groundedness, rouge_l
from wmsforge_evaluation.prompts import hit, plain, with_passages
from wmsforge_evaluation.report import Example, render_report, shown
from wmsforge_evaluation.rows import HeldOut, read_held_out, spread

JOB = "wmsforge_evaluation.jobs.asking:ask_all"
NOTES = (
    "The held-out loss is of the reference answers, every token weighing the same; the rows were not trained on.",
    "The base is asked with the tuned model's chat template, which it has not seen in training.",
    "chrF and ROUGE-L compare with one reference; a right answer in other words scores low.",
    "Groundedness is the share of an answer's content words that one place of the passages holds; it is no proof.",
    "Intervals are over rows. They say nothing about another training with another seed.",
)


class TwoByTwo(Evaluator):
    """Measures a tuned model against its base, on held-out rows; both with and without passages."""

    class Options(options.Options):
        base: str | None = Field(
            default=None, description="Folder, GGUF file or hub id of the base; by default what the model was made of."
        )
        rows: Path | None = Field(
            default=None, description="Dataset file of held-out rows; by default those that training held out."
        )
        retriever: RetrieverRef = Field(description="Where the passages are found.")
        top_k: int = Field(default=3, ge=1, description="Passages that a model is shown.")
        scored: int = Field(default=200, ge=2, description="Rows whose reference answers are scored, evenly spread.")
        answered: int = Field(default=40, ge=2, description="Of these, how many all four variants answer freely.")
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
        rows = self._rows(subject)
        found = await self._passages(rows)
        asked = await self._ask(subject, rows, found)
        outcomes = self._outcomes(rows, found, asked)
        samples, seed = self.options.samples, self.context.seed
        answered = {variant: each[: self.options.answered] for variant, each in outcomes.items()}
        figures = table(outcomes, samples=samples, seed=seed)
        for variant, row in table(
            answered, samples=samples, seed=seed
        ).items():  # answers exist for some of the scored rows only
            figures[variant] |= {name: row[name] for name in ("chrf", "rouge_l", "groundedness")}
        drops = {
            "loss_drop": loss_drop(outcomes, samples=samples, seed=seed),
            "loss_drop_rag": loss_drop(outcomes, samples=samples, seed=seed, passages=True),
        }
        hits = [
            found_it for row, passages in zip(rows, found, strict=True) if (found_it := hit(row, passages)) is not None
        ]
        facts: dict[str, Any] = {
            "rows": len(rows),
            "answered": min(self.options.answered, len(rows)),
            **{name: interval.as_list() for name, interval in drops.items()},
            "hit_rate": round(sum(hits) / len(hits), 4) if hits else None,
            "hit_rate_rows": len(hits),
            **as_json(figures),
        }
        if self.options.judge is not None:
            facts["judge"] = await self._judge(rows, outcomes)
        lines = [
            ("model", f"{subject.path}"),
            ("base", self._base(subject)),
            ("rows scored", f"{len(rows)}, of which {facts['answered']} were answered"),
            ("loss of the tuned model under the base's", f"{shown(drops['loss_drop'])} of it"),
            ("the same with passages", f"{shown(drops['loss_drop_rag'])} of it"),
            ("retrieval hit rate", f"{facts['hit_rate']} of {len(hits)} rows" if hits else "the rows name no sources"),
        ]
        if "judge" in facts:
            lines.append(("judge, tuned against base", json.dumps(facts["judge"])))
        page = render_report(
            title="Base and tuned, with and without passages",
            figures=figures,
            facts=lines,
            examples=self._examples(rows, outcomes, asked),
            notes=NOTES,
        )
        path = self.context.folder / "report.html"
        write_atomically(path, page.encode())
        write_atomically(path.with_suffix(".json"), json.dumps(facts, ensure_ascii=False, indent=1).encode())
        return Artifact(kind="report", path=str(path), also=(str(path.with_suffix(".json")),), facts=facts)

    def _base(self, subject: Artifact) -> str:
        base = self.options.base or subject.facts.get("base")
        if not base:
            step = self.context.step
            raise StepError(
                f"Step {step!r}: nothing says which base the model {subject.path!r} was made of.\n"
                f"Name it: --set steps.{step}.base=<folder, GGUF file or hub id>"
            )
        return str(base)

    def _rows(self, subject: Artifact) -> list[HeldOut]:
        step = self.context.step
        if subject.kind != "model" or not Path(subject.path, "config.json").is_file():
            raise StepError(
                f"Step {step!r}: two-by-two measures a model's folder, and {subject.path!r} is none.\n"
                f"Let it read the merge step."
            )
        path = self.options.rows or subject.facts.get("eval_path")
        if path is None:
            raise StepError(
                f"Step {step!r}: there are no held-out rows to measure on.\n"
                f"Give the dataset an eval_share, or name a file: --set steps.{step}.rows=..."
            )
        rows = spread(read_held_out(Path(path), step), self.options.scored)
        if len(rows) < 2:
            raise StepError(f"Step {step!r}: {path} has {len(rows)} rows; an interval needs two.\nRaise eval_share.")
        return rows

    async def _passages(self, rows: Sequence[HeldOut]) -> list[list[Retrieved]]:
        """Return the passages of each row; the last entry is of the question of the options."""
        retriever = await self.context.retriever(self.options.retriever)
        self._own = await retriever.search(self.options.question, self.options.top_k) if self.options.question else []
        return [await retriever.search(row.question, self.options.top_k) for row in rows]

    async def _ask(
        self, subject: Artifact, rows: Sequence[HeldOut], found: Sequence[Sequence[Retrieved]]
    ) -> dict[str, dict[str, Any]]:
        """Return what each variant made of each prompt, by `variant-row`; answers of an earlier run stay."""
        environment = await self.context.environment("evaluation", self.options.env)
        results: dict[str, dict[str, Any]] = {}
        base = {"model": self._base(subject), "revision": subject.facts.get("base_revision")}
        for name, model in (("base", base), ("tuned", {"model": subject.path, "revision": None})):
            prompts = self._prompts(name, rows, found)
            text = "".join(json.dumps(prompt, ensure_ascii=False) + "\n" for prompt in prompts)
            key = content_id(text, model, subject.facts.get("hops"), self.options.max_tokens)
            file = self.context.folder / f"{name}-{key}.prompts.jsonl"
            out = file.with_name(f"{name}-{key}.answers.jsonl")
            write_atomically(file, text.encode())
            job = {**model, "tokenizer": subject.path, "prompts": str(file), "out": str(out)}
            await environment.run(
                JOB,
                {**job, "max_tokens": self.options.max_tokens},
                out_of_memory="One model is in memory, on a CPU in fp32: lower top_k, max_tokens, or a larger machine.",
            )
            told = map(json.loads, out.read_text(encoding="utf-8").splitlines())
            results |= {one["id"]: one for one in told}
        return results

    def _prompts(
        self, name: str, rows: Sequence[HeldOut], found: Sequence[Sequence[Retrieved]]
    ) -> list[dict[str, Any]]:
        asked = list(zip(rows, found, strict=True))
        if self.options.question:
            asked.append((HeldOut("", self.options.question, ""), self._own))
        prompts = []
        for number, (row, passages) in enumerate(asked):
            own = number == len(rows)
            answer = own or number < self.options.answered
            rag = with_passages(row, passages, self.context.language)
            for variant, messages in ((name, plain(row)), (f"{name}_rag", rag)):
                id = f"{variant}-{'own' if own else number}"
                prompts.append({"id": id, "messages": messages, "reference": row.reference, "answer": answer})
        return prompts

    def _outcomes(
        self, rows: Sequence[HeldOut], found: Sequence[Sequence[Retrieved]], asked: dict[str, dict[str, Any]]
    ) -> dict[str, list[Outcome]]:
        from wmsforge_korean.morphemes import morphemes

        outcomes: dict[str, list[Outcome]] = {variant: [] for variant in VARIANTS}
        for number, (row, passages) in enumerate(zip(rows, found, strict=True)):
            wanted = morphemes(row.reference) if number < self.options.answered else []
            for variant in VARIANTS:
                told = asked[f"{variant}-{number}"]
                answer = told["answer"] or ""
                grounded = groundedness(answer, row.question, [one.passage for one in passages]) if answer else 0.0
                outcome = Outcome(
                    loss=told["loss"],
                    tokens=told["tokens"],
                    answer=answer,
                    chrf=chrf(answer, row.reference),
                    rouge_l=rouge_l(morphemes(answer), wanted) if answer else 0.0,
                    groundedness=grounded if passages else None,
                )
                outcomes[variant].append(outcome)
        return outcomes

    def _examples(
        self, rows: Sequence[HeldOut], outcomes: dict[str, list[Outcome]], asked: dict[str, dict[str, Any]]
    ) -> list[Example]:
        shown_rows = spread(range(min(self.options.answered, len(rows))), self.options.examples)
        own = [Example(self.options.question, "", {v: asked[f"{v}-own"]["answer"] for v in VARIANTS})]
        return (own if self.options.question else []) + [
            Example(rows[n].question, rows[n].reference, {v: outcomes[v][n].answer for v in VARIANTS})
            for n in shown_rows
        ]

    async def _judge(self, rows: Sequence[HeldOut], outcomes: dict[str, list[Outcome]]) -> dict[str, Any]:
        assert self.options.judge is not None  # the caller looked
        chat = await self.context.chat(self.options.judge)
        result: dict[str, Any] = {"model": chat.name}
        for end in ("", "_rag"):
            pairs = zip(rows, outcomes[f"base{end}"], outcomes[f"tuned{end}"], strict=True)
            asked = [
                judge(chat, row.question, row.reference, base.answer, tuned.answer)
                for row, base, tuned in list(pairs)[: self.options.answered]
            ]
            result[f"tuned{end} against base{end}"] = vars(count(await asyncio.gather(*asked)))
        return result
