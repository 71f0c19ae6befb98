"""Tiny components for the tests of the command line: no model, no index, and as slow as a test asks."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from wmsforge.errors import RecordError
from wmsforge.hookspecs import Register, hookimpl
from wmsforge.options import ChatModelRef, NotIdentity, Options, RetrieverRef
from wmsforge.records import Answer, Artifact, Document, Passage, Persona, Question, Retrieved, content_id
from wmsforge.steps.answer_generator import AnswerGenerator
from wmsforge.steps.chat_model import ChatModel, ChatRequest, ChatResponse, Message, ModelOptions, Usage
from wmsforge.steps.expect import Asking, Expected, Range
from wmsforge.steps.filter import KEEP, Filter, Item, Verdict, drop
from wmsforge.steps.loader import Loader
from wmsforge.steps.question_generator import QuestionGenerator
from wmsforge.steps.retriever import Retriever
from wmsforge.steps.server import Server
from wmsforge.steps.trainer import Trainer

ASKER = Persona(name="김영수", role="중소 물류센터 관리자")


class Texts(Loader):
    class Options(Options):
        path: str = Field(description="Folder of text files.")
        pause_s: Annotated[float, NotIdentity()] = Field(default=0, description="Seconds that no one can interrupt.")

    def inputs(self) -> list[Path]:
        return sorted(Path(self.options.path).glob("*.txt"))

    sources = inputs

    def load(self, source: Path | str) -> Iterable[Document]:
        time.sleep(self.options.pause_s)
        text = Path(source).read_text(encoding="utf-8")
        yield Document(id=content_id(text), text=text, path=str(source), sha256="0" * 64)


class Whole(Retriever):
    """Finds the first documents, whatever the query."""

    async def build(self, documents: Iterable[Document]) -> Artifact:
        self.passages = [
            Passage(
                id=doc.id, document_id=doc.id, path=doc.path, text=doc.text, start=0, end=len(doc.text), section="Top"
            )
            for doc in documents
        ]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps([passage.model_dump() for passage in self.passages]), encoding="utf-8")
        return Artifact(kind="index", path=str(self.file.parent), facts={"passages": len(self.passages)})

    async def load(self) -> None:
        self.passages = [Passage.model_validate(passage) for passage in json.loads(self.file.read_text("utf-8"))]

    async def search(self, query: str, top_k: int) -> list[Retrieved]:
        return [Retrieved(passage=passage, score=1 / rank) for rank, passage in enumerate(self.passages[:top_k], 1)]

    @property
    def file(self) -> Path:
        return Path(self.context.folder) / "passages.json"


class Numbered(QuestionGenerator):
    class Options(Options):
        count: int = Field(default=10, ge=1, description="Questions to ask.")

    def tasks(self, documents: Iterable[Document]) -> Iterable[tuple[str, Any]]:
        return [(f"task {number}", number) for number in range(self.options.count)]

    async def generate(self, task: Any) -> AsyncIterator[Question]:
        text = f"Question {task}?"
        yield Question(
            id=content_id(text), text=text, persona=ASKER, topic="tests", difficulty="beginner", origin="numbered"
        )


class Echo(ChatModel):
    class Options(ModelOptions):
        delay_s: Annotated[float, NotIdentity()] = Field(default=0, ge=0, description="Seconds a call takes.")
        calls_log: Annotated[str, NotIdentity()] = Field(description="File that gets a line a call.")
        moody: Annotated[str, NotIdentity()] = Field(
            default="", description="File with lines 'empty:TEXT' and 'refuse:TEXT': what happens to requests with it."
        )

    async def complete(self, request: ChatRequest) -> ChatResponse:
        await asyncio.sleep(self.options.delay_s)
        words = request.messages[-1].content
        _append(Path(self.options.calls_log), words)
        mood = self._mood(words)
        if mood == "refuse":
            raise RecordError("refusal", "not today", raw="No.", usage={"prompt_tokens": 20, "completion_tokens": 1})
        if mood == "empty":
            return ChatResponse(text="", usage=Usage(prompt_tokens=20, completion_tokens=10))
        return ChatResponse(text=f"Answer to: {words}", usage=Usage(prompt_tokens=20, completion_tokens=10))

    def _mood(self, words: str) -> str:
        lines = Path(self.options.moody).read_text(encoding="utf-8").splitlines() if self.options.moody else []
        return next((mood for mood, _, text in (line.partition(":") for line in lines) if text in words), "")


class Ask(AnswerGenerator):
    class Options(Options):
        model: ChatModelRef = Field(description="The model that answers.")
        retriever: RetrieverRef = Field(description="Where passages come from.")
        refuse: str = Field(default="", description="Questions that hold this text are rejected.")

    async def open(self) -> None:
        self.chat = await self.context.chat(self.options.model)
        self.retriever = await self.context.retriever(self.options.retriever)
        self.context.warn("the passages are \x1b[31mred\x1b[0m")

    async def answer(self, question: Question) -> Answer:
        found = await self.retriever.search(question.text, 2)
        response = await self.chat.complete(ChatRequest(messages=(Message(role="user", content=question.text),)))
        if not response.text:
            raise RecordError("empty", "no text", raw="")
        if self.options.refuse and self.options.refuse in question.text:
            raise RecordError("refused", f"it holds {self.options.refuse!r}", raw=response.text)
        return Answer(
            id=content_id(question.id, response.text),
            question=question,
            text=response.text,
            retrieved=tuple(found),
            cited=(0,),
            model=self.chat.name,
            created_at=response.created_at,
        )


class AskAndTell(Ask):
    """Asks the same, and says before how often."""

    def expect(self, items: Range) -> Expected:
        asking = Asking(self.options.model, calls=items, prompt_chars=Range(5, 40), answer_tokens=Range(1, 500))
        return Expected(out=Range(0, items.high), asks=(asking,))


class AskAndFail(Ask):
    """Fails when it should say how often it asks."""

    def expect(self, items: Range) -> Expected:
        raise ZeroDivisionError("a fault")


class Ending(Filter):
    class Options(Options):
        drop: str = Field(default="", description="Answers that end so are dropped.")

    def check(self, record: Item) -> Verdict:
        bad = self.options.drop and record.text.endswith(self.options.drop)
        return drop("bad_ending", f"it ends with {self.options.drop!r}") if bad else KEEP


class Memory(Trainer):
    async def train(self, dataset: Artifact) -> Artifact:
        return Artifact(kind="adapter", path=dataset.path, facts={"rows": dataset.facts["rows"]})


class Idle(Server):
    async def start(self, source: Artifact) -> Artifact:
        return Artifact(kind="endpoint", url="http://127.0.0.1:9")

    async def stop(self) -> None:
        _append(Path("server-stopped"), "by stop()")


def _append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


@hookimpl
def register_loaders(register: Register) -> None:
    register("texts", f"{__name__}:Texts", summary="Text files.")


@hookimpl
def register_retrievers(register: Register) -> None:
    register("whole", f"{__name__}:Whole", summary="Whole documents.")


@hookimpl
def register_question_generators(register: Register) -> None:
    register("numbered", f"{__name__}:Numbered", summary="Numbered questions.")


@hookimpl
def register_chat_models(register: Register) -> None:
    register("echo", f"{__name__}:Echo", summary="Says what it hears.")


@hookimpl
def register_answer_generators(register: Register) -> None:
    register("ask", f"{__name__}:Ask", summary="Asks a model.")
    register("ask-and-fail", f"{__name__}:AskAndFail", summary="Fails to tell.")
    register("ask-and-tell", f"{__name__}:AskAndTell", summary="Asks a model and tells how often before.")


@hookimpl
def register_filters(register: Register) -> None:
    register("ending", f"{__name__}:Ending", summary="Looks at the end.")


@hookimpl
def register_trainers(register: Register) -> None:
    register("memory", f"{__name__}:Memory", summary="Learns by heart.")


@hookimpl
def register_servers(register: Register) -> None:
    register("idle", f"{__name__}:Idle", summary="Serves nothing.")
