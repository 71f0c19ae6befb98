"""The engine's side of `orchestration.py`: questions, answers, a filter and a dataset, with all that is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestration_components import Ask, Numbers
from orchestration_loops import GEMINI, KEY, OPENAI

from wmsforge.plugins import PluginHost, load_plugins
from wmsforge.recipe.model import ComponentUse, Recipe, Step, Target
from wmsforge.recipe.plan import make_plan
from wmsforge.registry import Offer
from wmsforge.run.runner import Runner
from wmsforge.steps.base import Component
from wmsforge.store.workspace import Workspace


async def engine(model: str, base_url: str, rows: int, concurrency: int, folder: Path) -> None:
    """Ask everything through wmsforge."""
    host: PluginHost = load_plugins()

    def installed(kind: str, name: str, **options: Any) -> ComponentUse:
        offer = host.registry.find(name, [kind])[0]
        return local(host.registry.load(offer), offer.name, kind, options)

    def local(component: type[Component], name: str, kind: str, options: dict[str, Any]) -> ComponentUse:
        checked = component.Options(**options)
        targets = tuple((ref, Target(model=ref.name)) for _, ref in checked.references())
        return ComponentUse(Offer(kind, name, "", "", "bench", "1"), component, checked, options, 1, targets)

    own = {"model": GEMINI, "api_key": KEY} if model == "gemini" else {"model": OPENAI}
    asked = installed("chat_model", model, base_url=base_url, concurrency=concurrency, **own)
    questions = local(Numbers, "numbers", "question_generator", {"rows": rows})
    answers = local(Ask, "ask", "answer_generator", {"model": "mock"})
    length = installed("filter", "length")
    dataset = installed("exporter", "jsonl", path=str(folder / "dataset.jsonl"))
    steps = [
        Step("questions", "question_generator", (questions,), (), 1, "Question"),
        Step("answers", "answer_generator", (answers,), ("questions",), 2, "Answer"),
        Step("kept", "filter", (length,), ("answers",), 3, "Answer"),
        Step("dataset", "exporter", (dataset,), ("kept",), 4, "dataset"),
    ]
    recipe = Recipe("bench", "bench", "ko", 0, {"mock": asked}, {step.id: step for step in steps})
    workspace = Workspace(folder / "workspace")
    done = await Runner(make_plan(recipe, workspace), host, workspace).execute()
    if done["kept"].counts.out != rows:
        raise SystemExit(f"kept {done['kept'].counts.out} of {rows} rows")
