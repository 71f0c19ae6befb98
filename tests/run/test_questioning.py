"""Question generators: the order of the questions whoever is faster, previews, tasks that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from wmsforge.errors import RecordError, StepError
from wmsforge.records import Question
from wmsforge.run.questioning import BLOCK, QUESTIONS_AHEAD, WITHOUT_MODEL, run_questions
from wmsforge.store.manifest import Counts


class Generator:
    """Yields each task's texts, an exception among them raised; lets others run `delays[task]` times before each."""

    def __init__(self, script: dict[str, list[str | Exception]], delays: dict[str, int]) -> None:
        self.script, self.delays = script, delays
        self.started: list[str] = []
        self.cut_off: list[str] = []
        self.given: list[str] = []

    def tasks(self, documents: Iterator[Any]) -> Iterator[tuple[str, str]]:
        assert list(documents) == []
        return ((name, name) for name in self.script)

    async def generate(self, task: str) -> AsyncIterator[Question]:
        self.started.append(task)
        try:
            for text in self.script[task]:
                for _ in range(self.delays.get(task, 0)):
                    await asyncio.sleep(0)
                if isinstance(text, Exception):
                    raise text
                self.given.append(text)
                yield Question(id=text, text=text)
        except asyncio.CancelledError:
            self.cut_off.append(task)
            raise


class Run:
    """As much of a StepRun as a question generator's needs."""

    def __init__(self, generator: Generator) -> None:
        self.step = SimpleNamespace(uses=[SimpleNamespace(targets=())])
        self.resources = SimpleNamespace(recipe=SimpleNamespace(models={}))
        self.counts = Counts()
        self.offered = 0
        self.kept: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self._generator = generator

    async def inputs_finished(self) -> None: ...

    async def open(self, use: None) -> Generator:
        return self._generator

    def read(self) -> Iterator[Any]:
        return iter(())

    def note(self, item: str, asked: list[bytes]) -> None: ...

    def keep(self, question: Question) -> None:
        self.counts.made += 1
        self.counts.out += 1
        self.kept.append(question.text)

    def fail(self, name: str, error: RecordError, asked: list[bytes]) -> None:
        self.counts.failed += 1
        self.counts.reject(error.reason)
        self.failed.append((name, error.reason))


async def ask(
    script: dict[str, list[str | Exception]], limit: int | None = None, **delays: int
) -> tuple[Run, Generator]:
    generator = Generator(script, delays)
    run = Run(generator)
    async with asyncio.timeout(5):
        await run_questions(run, limit)  # type: ignore[arg-type]
    run.counts.check("questions", len(run.kept))
    return run, generator


SCRIPT: dict[str, list[str | Exception]] = {"a": ["a1", "a2", "a3"], "b": ["b1"], "c": ["c1", "c2"]}
IN_ORDER = ["a1", "a2", "a3", "b1", "c1", "c2"]


@pytest.mark.parametrize("delays", [{}, {"a": 9}, {"b": 9, "c": 3}, {"c": 9, "a": 1}])
async def test_questions_come_task_by_task_whoever_is_faster(delays: dict[str, int]) -> None:
    run, _ = await ask(SCRIPT, **delays)
    assert run.kept == IN_ORDER
    assert (run.counts.read, run.counts.ok) == (3, 3)


@pytest.mark.parametrize("limit", range(1, 8))
async def test_a_limit_takes_the_first_questions_and_starts_no_task_without_room(limit: int) -> None:
    run, generator = await ask(SCRIPT, limit, a=3)
    assert run.kept == IN_ORDER[:limit]
    assert generator.started == ["a", "b", "c"][: min(limit, 3)]


async def test_tasks_that_give_less_make_room_for_later_ones() -> None:
    script: dict[str, list[str | Exception]] = {"a": [], "b": [RecordError("mute")], "c": ["c1"], "d": ["d1"]}
    run, _ = await ask(script, 2)
    assert run.kept == ["c1", "d1"]
    assert run.failed == [("b", "mute")]


async def test_a_full_preview_lets_the_question_under_way_end_and_asks_no_other() -> None:
    run, generator = await ask({"a": ["a1", "a2"], "b": ["b1", "b2", "b3"]}, 2, a=1, b=9)
    assert run.kept == ["a1", "a2"]
    assert generator.cut_off == []
    assert [text for text in generator.given if text.startswith("b")] == ["b1"]


async def test_a_task_whose_turn_has_not_come_asks_little_in_a_preview() -> None:
    many = [f"b{number}" for number in range(50)]
    run, generator = await ask({"a": ["a1", "a2", "a3"], "b": list(many)}, 3, a=60)
    assert run.kept == ["a1", "a2", "a3"]
    assert len([text for text in generator.given if text.startswith("b")]) <= 2


async def test_a_task_that_fails_keeps_what_it_asked_and_does_not_stop_the_others() -> None:
    script: dict[str, list[str | Exception]] = {"a": ["a1", RecordError("mute"), "a3"], "b": ["b1", "b2", "b3"]}
    run, _ = await ask(script)
    assert run.kept == ["a1", "b1", "b2", "b3"]
    assert run.failed == [("a", "mute")]
    assert (run.counts.read, run.counts.ok, run.counts.failed) == (2, 1, 1)


@pytest.mark.parametrize("error", [StepError("wrong key"), ValueError("a fault")])
async def test_any_other_error_stops_everything_and_comes_out_bare(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        await ask({"a": [error], "b": ["b1"] * 50}, b=5)
    assert raised.value is error


async def test_a_slow_task_holds_up_no_more_than_its_place() -> None:
    names = [f"t{number:03}" for number in range(3 * WITHOUT_MODEL)]
    run, generator = await ask({name: [f"{name}-1", f"{name}-2"] for name in names}, t000=9)
    assert run.kept == [f"{name}-{turn}" for name in names for turn in (1, 2)]
    assert generator.started == names


async def test_no_more_tasks_are_at_work_than_there_are_hands() -> None:
    at_work = most = 0

    class Counting(Generator):
        async def generate(self, task: str) -> AsyncIterator[Question]:
            nonlocal at_work, most
            at_work += 1
            most = max(most, at_work)
            async for question in super().generate(task):
                yield question
            at_work -= 1

    script: dict[str, list[str | Exception]] = {f"t{number}": ["q"] for number in range(3 * WITHOUT_MODEL)}
    await run_questions(Run(Counting(script, dict.fromkeys(script, 2))), None)  # type: ignore[arg-type]
    assert most == WITHOUT_MODEL


async def test_a_task_far_ahead_of_its_turn_pauses() -> None:
    asked = 0

    class Endless(Generator):
        async def generate(self, task: str) -> AsyncIterator[Question]:
            nonlocal asked
            if task == "endless":
                while True:
                    asked += 1
                    yield Question(id=str(asked), text="q")
            async for question in super().generate(task):
                yield question

    run = Run(Endless({"slow": ["s"], "endless": []}, {"slow": 3 * QUESTIONS_AHEAD}))
    async with asyncio.timeout(5):
        await run_questions(run, 5)  # type: ignore[arg-type]
    assert run.counts.out == 5
    assert asked <= QUESTIONS_AHEAD + 5


async def test_a_preview_over_several_blocks_of_tasks() -> None:
    names = [f"t{number:03}" for number in range(200)]
    run, generator = await ask({name: [name] for name in names}, BLOCK + 6)
    assert run.kept == names[: BLOCK + 6]
    assert generator.started == names[: BLOCK + 6]


async def test_no_tasks_ask_nothing() -> None:
    run, _ = await ask({})
    assert run.kept == []
