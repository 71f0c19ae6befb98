"""Which models a component calls, under which names, at which price; known without opening anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wmsforge.errors import Problem, RecipeError
from wmsforge.options import Ref
from wmsforge.prices import Price
from wmsforge.recipe.fingerprint import PlanningContext
from wmsforge.recipe.model import ComponentUse, Recipe, Step, Target
from wmsforge.recipe.plan import Plan
from wmsforge.steps.chat_model import ChatModel
from wmsforge.steps.embedder import Embedder
from wmsforge.steps.limits import LimitOptions


@dataclass(frozen=True)
class CalledModel:
    """A chat model, or an embedder that calls a provider."""

    name: str
    """As the ledger and all messages have it: 'expert (solar)'."""
    price: Price | None
    line: int
    """Of the recipe, where the model stands."""
    notice: str
    """See `ChatModel.notice`."""
    ref: Ref | None
    """The reference in the options of the step's own component; None where another component holds it."""


def models_called(recipe: Recipe, step: Step, use: ComponentUse, own: bool = True) -> Iterator[CalledModel]:
    """Yield the models that a component calls, itself or through components inside of it."""
    for ref, target in use.targets:
        called = recipe.models[target.model] if target.model else target.inline
        if called is None:  # a step: it has calls of its own
            continue
        if issubclass(called.component, (ChatModel, Embedder)):
            if issubclass(called.component, ChatModel) or isinstance(called.options, LimitOptions):
                yield _called(recipe, step, use, called, ref, target, own)
        else:
            yield from models_called(recipe, step, called, own=False)


def notices(plan: Plan) -> list[str]:
    """Return what is known to be wrong with models that the steps to run call, such as that one was shut down."""
    steps = [planned.step for planned in plan.steps.values() if not planned.reused]
    called = [model for step in steps for use in step.uses for model in models_called(plan.recipe, step, use)]
    return list(dict.fromkeys(f"{model.name}: {model.notice}." for model in called if model.notice))


def check_prices(plan: Plan) -> None:
    """Look whether a budget in USD can be kept.

    Raises:
        RecipeError: If a step to run calls a model whose price no one knows.
    """
    budget = plan.recipe.budget
    if budget is None or budget.usd is None:
        return
    steps = [planned.step for planned in plan.steps.values() if not planned.reused]
    called = [model for step in steps for use in step.uses for model in models_called(plan.recipe, step, use)]
    unknown = {model.name: model for model in called if model.price is None}
    if unknown:
        raise RecipeError(plan.recipe.path, [_unpriced(model) for model in unknown.values()])


def _unpriced(model: CalledModel) -> Problem:
    message = (
        f"{f'{model.notice}. I' if model.notice else 'i'}ts price is unknown, and the budget is in USD. "
        "Add to the model: price: {input: 0.5, output: 2} (USD per million tokens); price: 0 if it is yours."
    )
    return Problem(model.line, 1, f"model {model.name!r}", message)


def _called(
    recipe: Recipe, step: Step, use: ComponentUse, called: ComponentUse, ref: Ref, target: Target, own: bool
) -> CalledModel:
    id = target.model or f"{step.id}.{_place(use, ref, called)}"
    model = called.component(called.options, PlanningContext(recipe, id))
    assert isinstance(model, (ChatModel, Embedder))  # its class was looked at
    inner = getattr(called.options, "model", "")
    name = f"{id} ({inner})" if isinstance(inner, str) and inner else id
    return CalledModel(
        name, model.price(), called.line, model.notice() if isinstance(model, ChatModel) else "", ref if own else None
    )


def _place(use: ComponentUse, ref: Ref, called: ComponentUse) -> str:
    """Return how a run names an inline model within its step."""
    if issubclass(called.component, Embedder):
        return called.offer.name
    path = next(path for path, known in use.options.references() if known is ref)
    return "-".join([*map(str, path), called.offer.name])
