"""The providers of a run: each model's name, price and limiter; one limiter for those that share a quota."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NoReturn

from wmsforge.errors import StepError
from wmsforge.recipe.fingerprint import PlanningContext
from wmsforge.recipe.model import ComponentUse, Recipe
from wmsforge.run.events import Events
from wmsforge.run.limits.budget import Purse, Spent
from wmsforge.run.limits.limiter import Limiter
from wmsforge.run.limits.under_way import UnderWay
from wmsforge.run.provider import Provider
from wmsforge.steps.chat_model import ChatModel
from wmsforge.steps.embedder import Embedder
from wmsforge.steps.limits import LimitOptions
from wmsforge.store.ledger import Ledger


class Providers:
    """Makes the provider of each model when it opens."""

    def __init__(self, recipe: Recipe, ledger: Ledger, events: Events) -> None:
        self._recipe = recipe
        self._ledger = ledger
        self._events = events
        self._limiters: dict[str, Limiter] = {}
        self._under_way = UnderWay(self._ending)
        self._waits = ledger.waits()
        self._purse: Purse | None = None
        if recipe.budget is not None:
            self._purse = Purse(recipe.budget, _spent(ledger, recipe.name), recipe.path)

    def provider(
        self, id: str, model: ChatModel | Embedder, *, fixed: bool, secrets: Mapping[str, str] | None = None
    ) -> Provider:
        """Return the provider of a model.

        Args:
            id: Of the recipe's `models:` entry, or of the step and option where it is written inline.
            fixed: Whether `concurrency` is the number of calls to keep in flight.
            secrets: See `ComponentUse.secrets`.

        Raises:
            StepError: If the budget is in USD and the model's price is unknown.
        """
        options: LimitOptions = model.options
        inner = getattr(options, "model", "")
        name = f"{id} ({inner})" if isinstance(inner, str) and inner else id
        price = model.price()
        if price is None and self._recipe.budget is not None and self._recipe.budget.usd is not None:
            raise StepError(
                f"Model {name!r}: its price is unknown, and the budget of {self._recipe.path} is in USD.\n"
                f"Add to the model: price: {{input: 0.5, output: 2}} (USD per million tokens); price: 0 if it is yours."
            )
        quota = model.quota() or f"{self._recipe.name}/{id}"
        limiter = self._limiter(name, quota, options, fixed)
        resumes = isinstance(model, ChatModel) and model.resumes
        shared = (self._purse, self._under_way, resumes, self._waits)
        return Provider(name, quota, options, limiter, price, *shared, secrets or {})

    async def stop(self, why: StepError) -> NoReturn:
        """See `Resources.stop`."""
        await self._under_way.stop(why)

    def _ending(self, calls: int, why: str) -> None:
        under_way = f"{calls} call{'s' if calls > 1 else ''} under way"
        self._events.warn("run", f"it stops as soon as {under_way} ended, which may be paid for: {why}")

    def _limiter(self, name: str, quota: str, options: LimitOptions, fixed: bool) -> Limiter:
        if quota not in self._limiters:
            shared = [options, *self._sharing(quota)]
            self._limiters[quota] = Limiter(
                name,
                quota,
                shared,
                self._ledger,
                fixed=fixed,
                warn=lambda message: self._events.warn(name, message),
                tell=lambda level, why: self._events.emit("level", model=name, calls_at_once=level, why=why),
            )
        return self._limiters[quota]

    def _sharing(self, quota: str) -> list[LimitOptions]:
        """Return the options of all the recipe's models that share a quota; the strictest limits hold for all."""
        found = []
        for use in _uses(self._recipe):
            if isinstance(use.options, LimitOptions):
                model = use.component(use.options, PlanningContext(self._recipe, use.offer.name))
                if isinstance(model, (ChatModel, Embedder)) and model.quota() == quota:
                    found.append(use.options)
        return found


def _uses(recipe: Recipe) -> Iterator[ComponentUse]:
    """Yield every component of a recipe, those written inline too."""
    todo = [*recipe.models.values(), *(use for step in recipe.steps.values() for use in step.uses)]
    while todo:
        use = todo.pop()
        yield use
        todo += [target.inline for _, target in use.targets if target.inline is not None]


def _spent(ledger: Ledger, recipe: str) -> Spent:
    """Return what a recipe has spent; what it may have spent where no one knows counts too."""
    paid = ledger.paid(recipe).values()
    return Spent(
        usd=sum(each.cost_usd + each.uncertain_usd for each in paid),
        requests=sum(each.calls + each.attempts for each in paid),
        tokens=sum(each.tokens + each.uncertain_tokens for each in paid),
    )
