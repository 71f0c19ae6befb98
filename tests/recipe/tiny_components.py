"""One tiny component of every kind, and a registry that offers them, so that tests need no plugin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from wmsforge.options import ChatModelRef, EmbedderRef, FilterRef, Options, Ref, RetrieverRef
from wmsforge.records import Answer, Artifact, Document, Question, Retrieved
from wmsforge.registry import Offer, Registry
from wmsforge.steps.answer_generator import AnswerGenerator
from wmsforge.steps.chat_model import ChatModel, ChatRequest, ChatResponse, ModelOptions
from wmsforge.steps.embedder import Embedder
from wmsforge.steps.evaluator import Evaluator
from wmsforge.steps.exporter import DatasetExporter, ModelExporter, Origin
from wmsforge.steps.filter import KEEP, CorpusFilter, Filter, Item, Verdict
from wmsforge.steps.loader import Loader
from wmsforge.steps.question_generator import QuestionGenerator
from wmsforge.steps.retriever import Retriever
from wmsforge.steps.server import Server
from wmsforge.steps.trainer import Trainer


class Files(Loader):
    class Options(Options):
        path: Path = Field(description="Folder to read.")
        patterns: tuple[str, ...] = Field(default=("*",), min_length=1, description="Names to read.")

    def sources(self) -> Iterable[Path | str]:
        return ()

    def load(self, source: Path | str) -> Iterable[Document]:
        return ()


class Index(Retriever):
    class Options(Options):
        embedder: EmbedderRef = Field(default=Ref("embedder", name="unit"), description="Turns text into vectors.")
        chunk_chars: int = Field(default=500, ge=50, le=5000, description="Characters of a chunk at most.")

    async def build(self, documents: Iterable[Document]) -> Artifact:
        return Artifact(kind="index")

    async def load(self) -> None: ...

    async def search(self, query: str, top_k: int) -> list[Retrieved]:
        return []


class Both(Index):
    """A retriever made of others."""

    class Options(Options):
        retrievers: tuple[RetrieverRef, ...] = Field(min_length=2, description="Retrievers to combine.")


class Persona(BaseModel):
    name: str = Field(description="Name.")
    age: int = Field(default=30, ge=0, description="Age in years.")


class Ask(QuestionGenerator):
    class Options(Options):
        model: ChatModelRef = Field(description="The model that asks.")
        topics: tuple[str, ...] = Field(default=(), description="What to ask about.")
        per_topic: int = Field(default=1, ge=1, description="Questions a topic.")
        tokens_per_minute: int = Field(default=1000, ge=1, description="Tokens a minute.")
        style: Literal["short", "long"] = Field(default="short", description="Length of the questions.")
        greet: bool = Field(default=False, description="Whether to greet first.")
        temperature: float = Field(default=0.7, ge=0, le=2, description="Sampling temperature.")
        limit: int | Literal["all"] = Field(default="all", description="Questions in all.")
        persona: Persona | None = Field(default=None, description="Who asks.")
        prefix: str = Field(default="", max_length=5, description="Text before each question.")

    def tasks(self, documents: Iterable[Document]) -> Iterable[tuple[str, Any]]:
        return ()

    async def generate(self, task: Any) -> AsyncIterator[Question]:
        for question in ():
            yield question


class Rag(AnswerGenerator):
    class Options(Options):
        retriever: RetrieverRef = Field(description="Where passages come from.")
        model: ChatModelRef = Field(description="The model that answers.")
        judge: FilterRef | None = Field(default=None, description="Chooses among candidates.")
        top_k: int = Field(default=3, ge=1, description="Passages an answer.")
        min_chars: int = Field(default=0, ge=0, description="Shortest answer in characters.")
        max_chars: int = Field(default=500, ge=1, description="Longest answer in characters.")

        @model_validator(mode="after")
        def _ordered(self) -> Rag.Options:
            if self.min_chars > self.max_chars:
                raise ValueError(f"min_chars ({self.min_chars}) must not be above max_chars ({self.max_chars}).")
            return self

    async def answer(self, question: Question) -> Answer:
        raise NotImplementedError


class Length(Filter):
    class Options(Options):
        min_chars: int = Field(default=1, ge=0, description="Shortest text kept, in characters.")

    def check(self, record: Item) -> Verdict:
        return KEEP


class Grounded(Length):
    accepts: ClassVar[tuple[type[Item], ...]] = (Answer,)


class Distinct(CorpusFilter):
    async def check_all(self, records: Sequence[Item]) -> list[Verdict]:
        return [KEEP for _ in records]


class Rows(DatasetExporter):
    class Options(Options):
        path: Path = Field(description="File to write.")

    def export(self, answers: Iterable[Answer], origin: Origin) -> Artifact:
        return Artifact(kind="dataset")


class Merge(ModelExporter):
    async def export(self, model: Artifact) -> Artifact:
        return Artifact(kind="model")


class Tune(Trainer):
    class Options(Options):
        epochs: int = Field(default=1, ge=1, description="Passes over the dataset.")

    async def train(self, dataset: Artifact) -> Artifact:
        return Artifact(kind="adapter")


class Serve(Server):
    async def start(self, source: Artifact) -> Artifact:
        return Artifact(kind="endpoint")

    async def stop(self) -> None: ...


class Score(Evaluator):
    async def evaluate(self, subject: Artifact) -> Artifact:
        return Artifact(kind="report")


class Echo(ChatModel):
    class Options(ModelOptions):
        model: str = Field(default="echo-1", description="Name of the model.")
        api_key: SecretStr | None = Field(default=None, description="Key of the service.")
        base_url: str = Field(default="", description="Address of the service.")
        fallback: ChatModelRef | None = Field(default=None, description="Model to ask when this one refuses.")

        @field_validator("base_url")
        @classmethod
        def _address(cls, value: str) -> str:
            if value and not value.startswith("http"):
                raise ValueError(f"must be an address that begins with http, got {value!r}.")
            return value

    async def complete(self, request: ChatRequest) -> ChatResponse:
        return ChatResponse(text="")


class Unit(Embedder):
    class Options(Options):
        dimension: int = Field(default=8, ge=1, description="Length of the vectors.")

    @property
    def dimension(self) -> int:
        return 8

    async def embed_passages(self, texts: Sequence[str]) -> Any: ...

    async def embed_queries(self, texts: Sequence[str]) -> Any: ...


class Careless(Filter):
    class Options(Options):
        mode: str = Field(default="", description="Any text.")

        @field_validator("mode")
        @classmethod
        def _fails(cls, value: str) -> str:
            raise KeyError(value)

    def check(self, record: Item) -> Verdict:
        return KEEP


COMPONENTS = (
    ("loader", "files", "Files"),
    ("retriever", "index", "Index"),
    ("retriever", "both", "Both"),
    ("question_generator", "ask", "Ask"),
    ("answer_generator", "rag", "Rag"),
    ("filter", "length", "Length"),
    ("filter", "grounded", "Grounded"),
    ("filter", "distinct", "Distinct"),
    ("filter", "careless", "Careless"),
    ("filter", "moved", "NoSuchClass"),
    ("trainer", "tune", "Tune"),
    ("exporter", "rows", "Rows"),
    ("exporter", "merge", "Merge"),
    ("server", "serve", "Serve"),
    ("server", "merge", "Serve"),
    ("evaluator", "score", "Score"),
    ("chat_model", "echo", "Echo"),
    ("embedder", "unit", "Unit"),
    ("embedder", "either", "Unit"),
    ("chat_model", "either", "Echo"),
)


def tiny_registry() -> Registry:
    """Return a registry with every component above, offered by the plugin 'tiny'.

    'merge' is both an exporter and a server, 'either' an embedder and a chat model; 'twice' is
    offered by two plugins; 'off' and 'broken' are what a disabled and a failed plugin would offer.
    """
    registry = Registry()
    for kind, name, target in COMPONENTS:
        registry.add(Offer(kind, name, f"{__name__}:{target}", f"A tiny {kind}.", "tiny", "1.0"))
    for plugin in ("one", "two"):
        registry.add(Offer("filter", "twice", f"{__name__}:Length", "Offered twice.", plugin, "1.0"))
    registry.add(Offer("filter", "needy", "needs_missing_package:Needy", "Needs a package.", "tiny", "1.0"))
    registry.disabled.append(Offer("retriever", "off", "off:Off", "", "wmsforge-off", ""))
    registry.failed.append(Offer("retriever", "broken", "broken:Broken", "ImportError: no peft", "wmsforge-broken", ""))
    registry.unavailable = {"wmsforge-off": "disabled", "wmsforge-broken": "ImportError: no peft"}
    return registry
