"""Tiny components of every kind for the tests of the engine, offered through hooks as a plugin's are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from wmsforge.errors import RecordError, StepError
from wmsforge.hookspecs import Register, hookimpl
from wmsforge.options import ChatModelRef, NotIdentity, Options
from wmsforge.records import Answer, Artifact, Document, Passage, Question, Retrieved, content_id
from wmsforge.steps.chat_model import ChatModel, ChatRequest, ChatResponse, Message, ModelOptions, Usage
from wmsforge.steps.evaluator import Evaluator
from wmsforge.steps.exporter import DatasetExporter, ModelExporter, Origin
from wmsforge.steps.filter import KEEP, CorpusFilter, Filter, Item, Verdict, drop
from wmsforge.steps.loader import Loader
from wmsforge.steps.question_generator import QuestionGenerator
from wmsforge.steps.retriever import Retriever
from wmsforge.steps.server import Server
from wmsforge.steps.trainer import Trainer

HAPPENED: list[str] = []
"""What components did, in order: calls of the model, `serve.stop`, `close` of a component."""
GATES: dict[str, asyncio.Event] = {}
"""Events by which a test and a component wait for each other; a gate that no test made is open."""


class Texts(Loader):
    class Options(Options):
        path: Path = Field(description="Folder of text files, one document a line.")

    def inputs(self) -> list[Path]:
        return sorted(self.options.path.glob("*.txt"))

    sources = inputs

    def load(self, source: Path | str) -> Iterable[Document]:
        for row, line in enumerate(Path(source).read_text(encoding="utf-8").splitlines(), 1):
            if line == "BROKEN":
                raise RecordError("unreadable", f"{source} is broken")
            yield Document(id=content_id(str(source), row), text=line, path=str(source), sha256="0" * 64, row=row)


class Words(Retriever):
    """Finds the documents that share a word with the query; its index says how often it was built."""

    async def build(self, documents: Iterable[Document]) -> Artifact:
        HAPPENED.append("words.build")
        self._texts = [document.model_dump() for document in documents]
        (self.context.folder / "words.json").write_text(json.dumps(self._texts), encoding="utf-8")
        return Artifact(kind="index", path=str(self.context.folder), facts={"passages": len(self._texts)})

    async def load(self) -> None:
        written = (self.context.folder / "words.json").read_text(encoding="utf-8")
        if not written.endswith("]"):
            raise StepError("the index is torn")
        self._texts = json.loads(written)

    async def search(self, query: str, top_k: int) -> list[Retrieved]:
        asked = set(query.split())
        hits = [Document(**text) for text in self._texts if asked & set(text["text"].split())]
        return [
            Retrieved(
                passage=Passage(
                    id=hit.id, document_id=hit.id, path=hit.path, text=hit.text, start=0, end=len(hit.text), row=hit.row
                ),
                score=1.0,
            )
            for hit in hits[:top_k]
        ]


class Askers(QuestionGenerator):
    """Each asker asks about each word in turn. After its first question it waits for the gate 'more'."""

    class Options(Options):
        askers: tuple[str, ...] = Field(description="Who asks.")
        words: tuple[str, ...] = Field(default=("dock", "rack"), description="What about.")
        mute: tuple[str, ...] = Field(default=(), description="Askers that fail.")

    def tasks(self, documents: Iterable[Document]) -> Iterable[tuple[str, Any]]:
        return [(asker, asker) for asker in self.options.askers]

    async def generate(self, task: str) -> AsyncIterator[Question]:
        if task in self.options.mute:
            raise RecordError("mute", f"{task} says nothing")
        for word in self.options.words:
            text = f"{task}: what is a {word} ?"
            yield Question(id=content_id(text), text=text, topic=word, origin=task)
            if "more" in GATES:
                await GATES["more"].wait()


class ModelAskers(Askers):
    """Asks the model for one question an asker."""

    class Options(Askers.Options):
        model: ChatModelRef = Field(description="Who words the question.")

    async def open(self) -> None:
        self._chat = await self.context.chat(self.options.model)

    async def generate(self, task: str) -> AsyncIterator[Question]:
        request = ChatRequest(messages=(Message(role="user", content=f"{task} asks about a dock"),))
        text = (await self._chat.complete(request)).text
        yield Question(id=content_id(text), text=text)


class Echo(ChatModel):
    """Says `Answer to` the last line it heard. The gate of that line opens; 'hang' waits for the gate 'hang'."""

    class Options(ModelOptions):
        model: str = Field(default="echo-1", description="Name of the model.")
        mark: str = Field(default="", description="Ends every answer.")
        refuse: Annotated[str, NotIdentity()] = Field(default="", description="A text that is refused.")
        fallback: ChatModelRef | None = Field(default=None, description="Another model.")

    async def open(self) -> None:
        if self.options.fallback:
            await self.context.chat(self.options.fallback)

    async def complete(self, request: ChatRequest) -> ChatResponse:
        heard = request.messages[-1].content.splitlines()[-1]
        HAPPENED.append(f"call {heard}")
        if heard in GATES:
            GATES[heard].set()
        if "hang" in GATES and "hang" in heard:
            await GATES["hang"].wait()
        if self.options.refuse and self.options.refuse in heard:
            raise RecordError("refused", f"it holds {self.options.refuse!r}", raw=heard)
        usage = Usage(prompt_tokens=7, completion_tokens=3)
        return ChatResponse(text=f"Answer to {heard}{self.options.mark}", usage=usage)

    async def close(self) -> None:
        HAPPENED.append("echo.close")


class Without(Filter):
    """Drops what holds a text, marks what it keeps."""

    class Options(Options):
        text: str = Field(description="What a record must not hold.")
        mark: str = Field(default="", description="Put behind each text kept.")
        error: bool = Field(default=False, description="Whether to raise an error nobody foresees.")

    def check(self, record: Item) -> Verdict:
        if self.options.error:
            raise ZeroDivisionError("a fault")
        if self.options.text in record.text:
            return drop("holds_text", self.options.text)
        if self.options.mark:
            return Verdict(keep=True, replacement=record.model_copy(update={"text": record.text + self.options.mark}))
        return KEEP


class Distinct(CorpusFilter):
    """Keeps one record of each last word before the question mark."""

    class Options(Options):
        forget: int = Field(default=0, description="Verdicts left out, a fault.")

    async def check_all(self, records: Sequence[Item]) -> list[Verdict]:
        HAPPENED.append(f"distinct {len(records)}")
        first: dict[str, str] = {}
        for record in records:
            first.setdefault(record.text.split()[-2], record.id)
        kept = set(first.values())
        verdicts = [KEEP if record.id in kept else drop("twin") for record in records]
        return verdicts[: len(verdicts) - self.options.forget]


class Lines(DatasetExporter):
    class Options(Options):
        path: Path = Field(description="File to write.")
        lose: int = Field(default=0, description="Rows left out, a fault.")

    def export(self, answers: Iterable[Answer], origin: Origin) -> Artifact:
        lines = [f"{answer.question.text} -> {answer.text}\n" for answer in answers]
        lines = lines[: len(lines) - self.options.lose]
        self.options.path.parent.mkdir(parents=True, exist_ok=True)
        self.options.path.write_text("".join(lines), encoding="utf-8")
        return Artifact(kind="dataset", path=str(self.options.path), facts={"rows": len(lines)})


class Tune(Trainer):
    class Options(Options):
        epochs: int = Field(default=1, ge=1, description="Passes over the rows.")
        error: str = Field(default="", description="Whether to fail: 'plain' or 'record'.")

    async def train(self, dataset: Artifact) -> Artifact:
        if self.options.error == "plain":
            raise ValueError("no such layer")
        if self.options.error == "record":
            raise RecordError("bad_row", "row 3 has no text")
        (self.context.folder / "adapter").write_text(dataset.path, encoding="utf-8")
        return Artifact(kind="adapter", path=str(self.context.folder), facts={"rows": dataset.facts["rows"]})


class Merge(ModelExporter):
    async def export(self, model: Artifact) -> Artifact:
        return Artifact(kind="model", path=model.path, facts={"from": model.kind})


class Serve(Server):
    class Options(Options):
        stubborn: bool = Field(default=False, description="Whether it fails to stop.")

    async def start(self, source: Artifact) -> Artifact:
        HAPPENED.append(f"{self.context.step}.start")
        return Artifact(kind="endpoint", url=f"http://{self.context.step}", facts={"serves": source.kind})

    async def stop(self) -> None:
        if self.options.stubborn:
            raise OSError("will not stop")
        HAPPENED.append(f"{self.context.step}.stop")


class Score(Evaluator):
    async def evaluate(self, subject: Artifact) -> Artifact:
        return Artifact(kind="report", facts={"subject": subject.kind})


@hookimpl
def register_loaders(register: Register) -> None:
    register("texts", f"{__name__}:Texts", summary="Lines of text files.")


@hookimpl
def register_retrievers(register: Register) -> None:
    register("words", f"{__name__}:Words", summary="Shared words.")


@hookimpl
def register_question_generators(register: Register) -> None:
    register("askers", f"{__name__}:Askers", summary="Askers about words.")
    register("model-askers", f"{__name__}:ModelAskers", summary="Askers through a model.")


@hookimpl
def register_chat_models(register: Register) -> None:
    register("echo", f"{__name__}:Echo", summary="Says what it hears.")


@hookimpl
def register_filters(register: Register) -> None:
    register("without", f"{__name__}:Without", summary="Without a text.")
    register("distinct", f"{__name__}:Distinct", summary="One of each.")


@hookimpl
def register_trainers(register: Register) -> None:
    register("tune", f"{__name__}:Tune", summary="Copies.")


@hookimpl
def register_exporters(register: Register) -> None:
    register("lines", f"{__name__}:Lines", summary="A line a row.")
    register("merge", f"{__name__}:Merge", summary="The same model.")


@hookimpl
def register_servers(register: Register) -> None:
    register("serve", f"{__name__}:Serve", summary="Serves nothing.")


@hookimpl
def register_evaluators(register: Register) -> None:
    register("score", f"{__name__}:Score", summary="Measures nothing.")


@hookimpl
def record_rejected(step: str, record_id: str, reason: str, detail: str) -> None:
    HAPPENED.append(f"rejected {step} {reason}")
