"""What components reach through their context, opened once a run and closed at its end."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from wmsforge.errors import AuthenticationError, RecordError, StepError
from wmsforge.options import Env, Ref
from wmsforge.plugins import PluginHost
from wmsforge.recipe.fingerprint import component_identity, fingerprint
from wmsforge.recipe.model import ComponentUse, Recipe, Target
from wmsforge.run.chat import LedgeredChat, OpenModel
from wmsforge.run.embedding import LimitedEmbedder
from wmsforge.run.environments import Environments, OpenEnvironment
from wmsforge.run.events import Events
from wmsforge.run.providers import Providers
from wmsforge.run.secrets import naming_variables, secrets_of
from wmsforge.steps.base import Component
from wmsforge.steps.chat_model import ChatModel, ChatResponse
from wmsforge.steps.embedder import Embedder
from wmsforge.steps.filter import Filter
from wmsforge.steps.limits import LimitOptions
from wmsforge.steps.retriever import Retriever
from wmsforge.store.call_keys import CallKeys
from wmsforge.store.ledger import Caller, Ledger
from wmsforge.store.manifest import CallCounts, Paid


class Resources:
    """The open models, embedders and retrievers of one run.

    Args:
        folder: Where models keep what they need between runs, one folder for each.
        stays_failed: See `Retry.stays_failed`.
    """

    def __init__(
        self,
        recipe: Recipe,
        host: PluginHost,
        ledger: Ledger,
        events: Events,
        run: str,
        folder: Path,
        stays_failed: Mapping[bytes, RecordError] | None = None,
    ) -> None:
        self.recipe = recipe
        self.events = events
        self.retrievers: dict[str, Retriever] = {}
        """Finished indexes by step id; the runner puts them here."""
        self._host = host
        self._ledger = ledger
        self._run = run
        self._folder = folder
        self._providers = Providers(recipe, ledger, events)
        self.environments = Environments(host.registry, events, events.folder, secrets_of(recipe, os.environ))
        self._stays_failed = stays_failed or {}
        self._calls_under_way: dict[bytes, asyncio.Future[ChatResponse]] = {}
        self._models: dict[str, OpenModel] = {}
        self._embedders: dict[str, Embedder] = {}
        self._chats: dict[tuple[str, str], LedgeredChat] = {}
        self._limited: dict[tuple[str, str], LimitedEmbedder] = {}
        self._opened: list[Component] = []
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        """One for each model and embedder, since opening one may open others."""

    async def open(self, use: ComponentUse, step: str, folder: Path) -> Any:
        """Build a component and open it; it is closed with the run."""
        component = use.component(use.options, StepContext(self, use, step, folder))
        try:
            await component.open()
        except AuthenticationError as error:
            raise naming_variables(error, use.secrets()) from error
        self._opened.append(component)
        return component

    async def chat(self, step: str, use: ComponentUse, id: str) -> LedgeredChat:
        """Return a step's handle of a model, opening the model when it is the first."""
        async with self._locks["chat_model", id]:
            shared = self._models.get(id)
            if shared is None:
                model: ChatModel = await self.open(use, id, self._folder / id)
                identity = component_identity(use, model)
                # A model may turn both into its prompt or its sampling; a stored answer to others is not its answer.
                identity |= {"seed": self.recipe.seed, "language": self.recipe.language}
                provider = self._providers.provider(id, model, fixed=model.fixed_concurrency, secrets=use.secrets())
                shared = self._models[id] = OpenModel(
                    model, CallKeys(identity), provider, self._calls_under_way, self._stays_failed
                )
        key = (step, id)
        if key not in self._chats:
            caller = self._caller(step, shared.provider.name, shared.provider.quota)
            self._chats[key] = LedgeredChat(caller, shared, self._ledger, self.events, self._host.hook)
        return self._chats[key]

    async def embedder(self, step: str, use: ComponentUse, id: str, folder: Path) -> Embedder:
        """Return the embedder, shared by all uses with the same options."""
        key = fingerprint(component_identity(use, use.component(use.options, StepContext(self, use, step, folder))))
        async with self._locks["embedder", key]:
            if key not in self._embedders:
                self._embedders[key] = await self.open(use, step, folder)
        embedder = self._embedders[key]
        if not isinstance(embedder.options, LimitOptions):
            return embedder
        if (step, key) not in self._limited:
            provider = self._providers.provider(id, embedder, fixed=False, secrets=use.secrets())
            caller = self._caller(step, provider.name, provider.quota)
            self._limited[step, key] = LimitedEmbedder(embedder, provider, caller, self._ledger, self.events)
        return self._limited[step, key]

    def calls(self, step: str) -> dict[str, CallCounts]:
        """Return what a step has called so far, by model."""
        handles: list[tuple[tuple[str, str], LedgeredChat | LimitedEmbedder]]
        handles = [*self._chats.items(), *self._limited.items()]
        return {handle.name: handle.counts for (owner, _), handle in handles if owner == step}

    def paid(self, step: str) -> dict[str, Paid]:
        """Return what a step has paid over all runs, by model."""
        return {model: paid for (_, model), paid in self._ledger.paid(self.recipe.name, step).items()}

    async def stop(self, why: StepError) -> NoReturn:
        """Let the calls under way of all models end, which are paid for, then raise `why`."""
        await self._providers.stop(why)

    def _caller(self, step: str, model: str, quota: str) -> Caller:
        return Caller(self.recipe.name, step, model, quota, self._run)

    async def close(self) -> None:
        """Close everything, the last opened first; one that fails to close does not keep the others open."""
        for component in reversed(self._opened):
            try:
                await component.close()
            except Exception as error:  # a plugin's close may raise anything; the rest must still be closed
                self.events.warn(component.context.step, f"closing {type(component).__name__} failed: {error!r}")
        self._opened.clear()


class StepContext:
    """The context that a component of a real run sees; see `wmsforge.steps.base.Context`."""

    def __init__(self, resources: Resources, use: ComponentUse, step: str, folder: Path) -> None:
        self.step = step
        self.language = resources.recipe.language
        self.seed = resources.recipe.seed
        self.folder = folder
        self._resources = resources
        self._use = use

    async def chat(self, ref: Ref) -> LedgeredChat:
        target, use = self._resolve(ref)
        id = target.model or f"{self.step}.{self._inline_folder(ref, use).name}"
        return await self._resources.chat(self.step, use, id)

    async def embedder(self, ref: Ref) -> Embedder:
        target, use = self._resolve(ref)
        id = target.model or f"{self.step}.{use.offer.name}"
        return await self._resources.embedder(self.step, use, id, self.folder / use.offer.name)

    async def retriever(self, ref: Ref) -> Retriever:
        target = self._use.target(ref)
        if target.step:
            return self._resources.retrievers[target.step]
        _, use = self._resolve(ref)
        retriever: Retriever = await self._resources.open(use, self.step, self._inline_folder(ref, use))
        return retriever

    async def filter(self, ref: Ref) -> Filter:
        _, use = self._resolve(ref)
        opened: Filter = await self._resources.open(use, self.step, self._inline_folder(ref, use))
        return opened

    async def environment(self, name: str, env: Env) -> OpenEnvironment:
        return await self._resources.environments.open(self.step, name, env)

    def warn(self, message: str) -> None:
        self._resources.events.warn(self.step, message)

    def _resolve(self, ref: Ref) -> tuple[Target, ComponentUse]:
        target = self._use.target(ref)
        use = self._resources.recipe.models[target.model] if target.model else target.inline
        if use is None:
            raise StepError(f"Step {self.step!r}: the step {target.step!r} cannot be used as a {ref.kind}.")
        return target, use

    def _inline_folder(self, ref: Ref, use: ComponentUse) -> Path:
        """Return a folder of its own for each inline component: `<option>-<place>-<name>`."""
        for path, known in self._use.options.references():
            if known is ref:
                return self.folder / "-".join([*map(str, path), use.offer.name])
        return self.folder / use.offer.name
