"""What all components share: options in, a context to reach the rest of the run, open and close."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from wmsforge.options import Env, Options, Ref

if TYPE_CHECKING:
    from wmsforge.steps.chat_model import Chat
    from wmsforge.steps.embedder import Embedder
    from wmsforge.steps.expect import Expected, Range
    from wmsforge.steps.filter import Filter
    from wmsforge.steps.machine import Finding, Machine
    from wmsforge.steps.retriever import Retriever


@dataclass(frozen=True)
class EnvironmentUse:
    """An environment that a component needs, by its registered name and the option `env`."""

    name: str
    env: Env


class Environment(Protocol):
    """Where jobs run."""

    async def run(self, job: str, data: Mapping[str, Any], *, out_of_memory: str = "") -> dict[str, Any]:
        """Run "module:function" of the plugin there and return what it returns; see `wmsforge.env.worker.Report`.

        Args:
            data: JSON values for the function; files go by absolute path.
            out_of_memory: What the user may change when memory runs out.

        Raises:
            StepError: If the job fails.
        """
        ...


class Context(Protocol):
    """What a component may know and reach. The engine gives it; tests use `wmsforge.testing`."""

    step: str
    """Id of the step or models entry the component works for."""
    language: str
    """Language of the recipe, an ISO 639-1 code such as 'ko'."""
    seed: int
    """Seed of the recipe; derive every random choice from it and the item."""
    folder: Path
    """A folder of this step alone that stays between runs, for indexes and caches."""

    async def chat(self, ref: Ref) -> Chat:
        """Open a chat model. Calls through it are limited, retried, counted and in the ledger."""
        ...

    async def embedder(self, ref: Ref) -> Embedder:
        """Open an embedder."""
        ...

    async def retriever(self, ref: Ref) -> Retriever:
        """Open a retriever: a step's finished index, or an inline one."""
        ...

    async def filter(self, ref: Ref) -> Filter:
        """Open a filter, for components that score candidates with it."""
        ...

    async def environment(self, name: str, env: Env) -> Environment:
        """Open an environment of the plugin; it is built first if it has to be."""
        ...

    def warn(self, message: str) -> None:
        """Tell the user something they can change; shown once and kept in events.jsonl."""
        ...


class Component:
    """Base of all components. The engine builds it, awaits `open`, uses it, awaits `close`.

    Heavy imports belong in `open` or later, never at the top of the module.
    """

    Options: ClassVar[type[Options]] = Options
    """The component's options; override with an inner class."""
    version: ClassVar[str] = "1"
    """Raise it when the same input and options give another output: stores are then made anew."""

    def __init__(self, options: Any, context: Context) -> None:
        self.options = options
        self.context = context

    def inputs(self) -> Sequence[Path]:
        """Return the files outside the workspace whose bytes decide what this component makes.

        Their contents are part of the step's fingerprint. Called at planning, before `open`.

        Raises:
            RecordError: If a file that must exist does not.
        """
        return ()

    def identity(self) -> dict[str, Any]:
        """Return the JSON values that decide what this component makes, `inputs` aside.

        Part of the step's fingerprint and, for a chat model, of the ledger's key. Called before
        `open`.
        """
        identity: dict[str, Any] = self.options.identity()
        return identity

    def environments(self) -> Sequence[EnvironmentUse]:
        """Return the environments that it needs."""
        return ()

    def doctor(self, machine: Machine) -> Sequence[Finding]:
        """Return what its options need beside its environments, and whether it is here.

        `wmsforge doctor` shows it. Called before `open`; may read files, calls nobody and starts nothing.
        """
        return ()

    def expect(self, items: Range) -> Expected | None:
        """Return what this component will ask models for and how many records come out, None if it cannot tell.

        `wmsforge plan` makes its quote of this. Called before `open`; may read the files of `inputs`, calls nothing.

        Args:
            items: How many records come in: documents, questions or answers.
        """
        return None

    async def open(self) -> None:
        """Load what the items need, open the references of the options."""

    async def close(self) -> None:
        """Let go of what `open` took."""
