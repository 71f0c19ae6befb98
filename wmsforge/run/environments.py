"""The environments of one run: built when a step first needs one, and what their jobs tell."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from wmsforge.env.build import Built, build, find
from wmsforge.env.code import code_folder
from wmsforge.env.locks import EnvironmentOffer, find_lock
from wmsforge.env.process import Job, run_job
from wmsforge.options import Env, EnvPython
from wmsforge.registry import Registry
from wmsforge.run.events import Events

LOGS = "logs"


class Environments:
    """Opens environments for the steps of a run.

    Args:
        folder: Of the run; each step's jobs have one log in it.
        secrets: Secret -> what stands in its place in logs and messages of jobs.
    """

    def __init__(self, registry: Registry, events: Events, folder: Path, secrets: Mapping[str, str]) -> None:
        self._registry = registry
        self._events = events
        self._folder = folder
        self._secrets = secrets
        self._used: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self._building: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def open(self, step: str, name: str, env: Env) -> OpenEnvironment:
        """Return an environment for a step, building it first if it has to be.

        Raises:
            PluginError: If no plugin offers it, or it has no lock for this machine.
            StepError: If it cannot be built.
        """
        offer = self._registry.environment(name)
        if isinstance(env, EnvPython):
            return self._open(step, offer, env.python.expanduser().absolute(), "")
        if env == "current":
            return self._open(step, offer, Path(sys.executable), "")
        lock = await asyncio.to_thread(find_lock, offer, env)
        async with self._building[f"{name}-{lock.digest}"]:
            built = find(offer, lock) or await self._build(step, offer, lock)
        return self._open(step, offer, built.python, built.digest)

    async def _build(self, step: str, offer: EnvironmentOffer, lock: Any) -> Built:
        loop = asyncio.get_running_loop()

        def say(text: str) -> None:
            loop.call_soon_threadsafe(partial(self._events.emit, "note", step=step, text=text))

        stop = threading.Event()
        try:
            return await asyncio.to_thread(build, offer, lock, say, None, stop)
        finally:
            stop.set()  # when this is cancelled, the thread must not go on installing

    def _open(self, step: str, offer: EnvironmentOffer, python: Path, digest: str) -> OpenEnvironment:
        code = code_folder(self._folder, ("wmsforge", offer.package))
        facts = self._used[step].setdefault(offer.name, {"digest": digest})
        log = self._folder / LOGS / f"{step}.log"
        return OpenEnvironment(step, python, code, log, facts, self._events, self._secrets)

    def used(self, step: str) -> dict[str, dict[str, Any]]:
        """Return the environments in which a step's jobs ran: digest, Python and packages of each."""
        return dict(self._used[step])


class OpenEnvironment:
    """See `wmsforge.steps.base.Environment`."""

    def __init__(
        self,
        step: str,
        python: Path,
        code: Path,
        log: Path,
        facts: dict[str, Any],
        events: Events,
        secrets: Mapping[str, str],
    ) -> None:
        self.python = python
        self._step = step
        self._code = code
        self._log = log
        self._facts = facts
        self._events = events
        self._secrets = secrets

    async def run(self, job: str, data: Mapping[str, Any], *, out_of_memory: str = "") -> dict[str, Any]:
        """See `Environment.run`."""
        return await run_job(
            self.python,
            self._code,
            Job(
                step=self._step,
                target=job,
                data=data,
                log=self._log,
                out_of_memory=out_of_memory,
                secrets=self._secrets,
                progress=lambda told: self._events.emit("progress", step=self._step, **told),
                warn=lambda text: self._events.warn(self._step, text),
                note=lambda text: self._events.emit("note", step=self._step, text=text),
                hello=lambda told: self._facts.update(python=told["python"], packages=told["dists"]),
            ),
        )
