"""Question generators: the order of the questions whoever is faster, previews, tasks that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from wmsforge.errors import RecordError, StepError
from wmsforge.records import Question
from wmsforge.run.questioning import GROUP, run_questions
from wmsforge.store.manifest import Counts


class Generator:
    """Yields each task's texts, an exception among them raised; lets others run `delays[task]` times before each."""

    def __init__(self, script: dict[str, list[str | Exception]], delays: dict[str, int]) -> None:
        self.script, self.delays = script, delays
        self.started: list[str] = []
        self.cut_off: list[str] = []

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
                yield Question(id=text, text=text)
        except asyncio.CancelledError:
            self.cut_off.append(task)
            raise


class Run:
    """As much of a StepRun as a question generator's needs."""

    def __init__(self, generator: Generator) -> None:
        self.step = SimpleNamespace(uses=[None])
        self.counts = Counts()
        self.kept: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self._generator = generator

    async def inputs_finished(self) -> None: ...

    async def open(self, use: None) -> Generator:
        return self._generator

    def read(self) -> Iterator[Any]:
        return iter(())

    def keep(self, question: Question) -> None:
        self.counts.made += 1
        self.counts.out += 1
        self.kept.append(question.text)

    def fail(self, name: str, error: RecordError) -> None:
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
IN_TURN = ["a1", "b1", "c1", "a2", "c2", "a3"]


@pytest.mark.parametrize("delays", [{}, {"a": 9}, {"b": 9, "c": 3}, {"c": 9, "a": 1}])
async def test_questions_come_in_turn_whoever_is_faster(delays: dict[str, int]) -> None:
    run, _ = await ask(SCRIPT, **delays)
    assert run.kept == IN_TURN
    assert (run.counts.read, run.counts.ok) == (3, 3)


@pytest.mark.parametrize("limit", range(1, 8))
async def test_a_limit_takes_the_first_questions(limit: int) -> None:
    run, generator = await ask(SCRIPT, limit, a=3)
    heard = min(limit, 3)
    assert len(run.kept) == min(limit, 6)
    assert run.kept[:heard] == ["a1", "b1", "c1"][:heard]
    assert generator.started == ["a", "b", "c"][:heard]
    if limit >= 3:
        assert run.kept == IN_TURN[:limit]


async def test_tasks_that_give_less_make_room_for_later_ones() -> None:
    script: dict[str, list[str | Exception]] = {"a": [], "b": [RecordError("mute")], "c": ["c1"], "d": ["d1"]}
    run, _ = await ask(script, 2)
    assert run.kept == ["c1", "d1"]
    assert run.failed == [("b", "mute")]


async def test_what_a_full_preview_does_not_need_is_cut_off() -> None:
    run, generator = await ask({"a": ["a1", "a2"], "b": ["b1", "b2"]}, 2, a=1, b=1)
    assert run.kept == ["a1", "b1"]
    assert sorted(generator.cut_off) == ["a", "b"]


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


async def test_more_tasks_than_run_side_by_side() -> None:
    names = [f"t{number:03}" for number in range(2 * GROUP + 5)]
    run, generator = await ask({name: [f"{name}-1", f"{name}-2"] for name in names}, t000=20)
    expected = []
    for start in range(0, len(names), GROUP):
        for turn in (1, 2):
            expected += [f"{name}-{turn}" for name in names[start : start + GROUP]]
    assert run.kept == expected
    assert generator.started == names


async def test_a_preview_over_several_groups() -> None:
    names = [f"t{number:03}" for number in range(200)]
    run, generator = await ask({name: [name] for name in names}, GROUP + 6)
    assert run.kept == names[: GROUP + 6]
    assert generator.started == names[: GROUP + 6]


async def test_no_tasks_ask_nothing() -> None:
    run, _ = await ask({})
    assert run.kept == []
