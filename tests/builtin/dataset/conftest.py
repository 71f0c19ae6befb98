"""Answers to export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wmsforge.builtin.messages_json import MessagesJson
from wmsforge.records import Answer, Passage, Persona, Question, Retrieved, content_id
from wmsforge.steps.exporter import Origin
from wmsforge.testing import LocalContext

MakeAnswer = Callable[..., Answer]


def passage(place: str) -> Passage:
    """Return a passage of 'file#section', 'file@page' or 'file:row'."""
    page = row = None
    section = ""
    if "@" in place:
        path, _, number = place.partition("@")
        page = int(number)
    elif ":" in place:
        path, _, number = place.partition(":")
        row = int(number)
    else:
        path, _, section = place.partition("#")
    return Passage(
        id=content_id(place),
        document_id=content_id(path),
        path=path,
        text=f"{place}의 본문",
        start=10,
        end=10 + len(place) + 4,
        section=section,
        page=page,
        row=row,
    )


def answer(number: int, places: str = "a.txt#1", cited: tuple[int, ...] = (0,), **question: Any) -> Answer:
    """Return answer `number` whose passages are at `places`, separated by spaces."""
    question = {"text": f"질문 {number}은 무엇인가요?", "origin": f"questions.csv:{number + 2}", **question}
    return Answer(
        id=content_id("answer", number),
        question=Question(id=content_id("question", number), **question),
        text=f"답변 {number}입니다.",
        retrieved=tuple(Retrieved(passage=passage(place), score=0.5) for place in places.split()),
        cited=cited,
        model="expert (test)",
        created_at="2026-11-02T03:04:05Z",
    )


@pytest.fixture
def make_answer() -> MakeAnswer:
    return answer


@pytest.fixture
def persona() -> Persona:
    return Persona(name="김영수", role="중소 물류센터 관리자", background="전통적인 수기 관리에서 WMS 도입 검토 중")


@pytest.fixture
def origin() -> Origin:
    return Origin(recipe="wms", fingerprint="0123456789abcdef", run="run-1")


@pytest.fixture
def context(tmp_path: Path) -> LocalContext:
    return LocalContext(tmp_path / "work", step="dataset")


@pytest.fixture
def exporter(tmp_path: Path, context: LocalContext) -> Callable[..., MessagesJson]:
    """Return a function that makes a messages-json exporter to out/d.json with these options."""

    def make(**options: Any) -> MessagesJson:
        return MessagesJson(MessagesJson.Options(path=tmp_path / "out" / "d.json", **options), context)

    return make
