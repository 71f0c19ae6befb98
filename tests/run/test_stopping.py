"""Ctrl-C, servers and what stays open: everything is closed, nothing stored is lost or asked for again."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest
import run_components
from run_project import RECIPE, Project

from wmsforge.errors import StepError


async def stop(task: asyncio.Task[object]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_run_closes_everything_and_the_next_one_asks_only_what_is_missing(project: Project) -> None:
    project.edit("[Ann, Ben, Cem]", "[Ann, Cem, hang]")
    run_components.GATES["hang"] = asyncio.Event()
    last = run_components.GATES["질문: hang: what is a rack ?"] = asyncio.Event()
    task = await project.start("run_started")
    async with asyncio.timeout(5):
        await last.wait()
    await stop(task)
    assert "echo.close" in run_components.HAPPENED
    assert project.seen[-1][0] == "run_stopped"
    assert project.workspace.holder() == ""
    with sqlite3.connect(project.workspace.ledger) as ledger:
        assert ledger.execute("SELECT count(*) FROM calls").fetchone() == (4,)
        assert ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    run_components.GATES.clear()
    await project.run()
    assert project.calls() == [f"call 질문: hang: what is a {word} ?" for word in ("dock", "rack")]
    assert project.data() == [
        f"{asker}: what is a {word} ? -> Answer to 질문: {asker}: what is a {word} ?"
        for asker in ("Ann", "Cem", "hang")
        for word in ("dock", "rack")
    ]


async def test_servers_are_all_stopped_even_when_one_fails_to(project: Project) -> None:
    more = "  adapter: {use: tune, from: dataset}\n  model: {use: serve, from: adapter}\n"
    project.write(RECIPE + more + "  api: {use: serve, from: model, stubborn: true}\n")
    task = await project.start("serving")
    assert [facts["endpoints"] for facts in project.events("serving")] == [
        {"model": "http://model", "api": "http://api"}
    ]
    await stop(task)
    assert run_components.HAPPENED[-2:] == ["model.stop", "echo.close"]
    assert project.events("warning") == [
        {"step": "api", "message": "the server may still run, stopping it failed: OSError('will not stop')"}
    ]


async def test_servers_are_stopped_when_a_later_step_fails(project: Project) -> None:
    more = "  adapter: {use: tune, from: dataset}\n  model: {use: serve, from: adapter}\n"
    project.write(RECIPE + more + "  other: {use: tune, from: dataset, error: plain}\n")
    with pytest.raises(StepError, match="Step 'other'"):
        await project.run()
    assert run_components.HAPPENED.count("model.start") == run_components.HAPPENED.count("model.stop")


async def test_a_server_runs_anew_while_what_it_serves_is_reused(project: Project) -> None:
    project.write(RECIPE + "  adapter: {use: tune, from: dataset}\n  server: {use: serve, from: adapter}\n")
    await stop(await project.start("serving"))
    assert project.reasons() == {"server": "a server runs anew each time"}
    await stop(await project.start("serving"))
    assert run_components.HAPPENED == ["server.start", "server.stop"]
