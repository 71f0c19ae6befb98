"""Batch mode: calls that come together are one job, which is found again and never sent twice."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from mock_gemini import MockGemini, serving
from wmsforge_gemini import batch as batch_module
from wmsforge_gemini.chat_model import GeminiModel

from wmsforge.errors import AuthenticationError, ParkedError, RecordError, RetryableError, StepError
from wmsforge.steps.chat_model import ChatRequest, ChatResponse, Message
from wmsforge.testing import LocalContext

QUICK = {"batch": True, "batch_quiet_s": 0.05, "batch_poll_s": 0.05}


@pytest.fixture(autouse=True)
def settles_at_once(monkeypatch):
    monkeypatch.setattr(batch_module, "SETTLE_S", 0.05)


def requests(count: int) -> list[ChatRequest]:
    return [ChatRequest(messages=(Message(role="user", content=f"{number}번째 질문"),)) for number in range(count)]


async def ask_all(model: GeminiModel, asked: list[ChatRequest]) -> list[ChatResponse | BaseException]:
    return await asyncio.gather(*map(model.complete, asked), return_exceptions=True)


def reasons(outcomes: list[ChatResponse | BaseException]) -> list[str]:
    return [getattr(outcome, "reason", "ok") for outcome in outcomes]


def stored(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in (folder / "batches").glob("*.json")]


async def until(condition) -> None:
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("waited 4 s in vain")


async def killed(model: GeminiModel, asked: list[ChatRequest], condition) -> None:
    """Ask, and stop like a process that is killed: nothing is written any more once `condition` holds."""
    task = asyncio.create_task(ask_all(model, asked))
    await until(condition)
    for work in model._batch._tasks.values():
        work.cancel()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_batch_mode_says_what_the_engine_must_know(tmp_path):
    options = {"model": "m", "api_key": "k"}
    plain, batch = (
        GeminiModel(GeminiModel.Options(**options, batch=on), LocalContext(tmp_path)) for on in (False, True)
    )
    assert (plain.resumes, plain.fixed_concurrency) == (False, False)
    assert (batch.resumes, batch.fixed_concurrency) == (True, True)
    assert (batch.options.concurrency, batch.options.timeout_s) == (5000, 25 * 3600)
    assert GeminiModel.Options(**options, batch="false").timeout_s == 120


@pytest.mark.parametrize("metadata", [True, False], ids=["named results", "results in order alone"])
async def test_calls_that_come_together_are_one_job_and_each_gets_its_answer(open_model, tmp_path, metadata):
    mock = MockGemini(batch_s=0.2, batch_metadata=metadata, thought_tokens=7)
    async with serving(mock) as url:
        model = await open_model(url, **QUICK, thinking_level="low")
        outcomes = await ask_all(model, requests(20))
        assert len(mock.batches.made) == 1
        await until(lambda: not stored(tmp_path))
    assert [f"‘{number}번째 질문’" in outcome.text for number, outcome in enumerate(outcomes)] == [True] * 20
    assert {outcome.usage.thought_tokens for outcome in outcomes} == {7}
    job = mock.batches.jobs["batches/job0"]
    assert {asked["request"]["generationConfig"]["maxOutputTokens"] for asked in job.requests} == {500}
    assert "batch job batches/job0 has 20 requests" in model.context.warnings[0]


async def test_a_job_is_sent_at_its_most_without_waiting_for_quiet(open_model, monkeypatch):
    monkeypatch.setattr(batch_module, "MOST_REQUESTS", 4)
    mock = MockGemini()
    async with serving(mock) as url:
        model = await open_model(url, **{**QUICK, "batch_quiet_s": 0.2})
        await ask_all(model, requests(10))
    assert sorted(len(job.requests) for job in mock.batches.jobs.values()) == [2, 4, 4]


async def test_a_job_is_sent_before_its_requests_are_too_large_for_one(open_model, monkeypatch):
    size = len(json.dumps(requests(1)[0].model_dump(mode="json")))
    monkeypatch.setattr(batch_module, "MOST_BYTES", 3 * size)
    mock = MockGemini()
    async with serving(mock) as url:
        await ask_all(await open_model(url, **{**QUICK, "batch_quiet_s": 0.2}), requests(6))
    assert max(len(job.requests) for job in mock.batches.jobs.values()) <= 3


async def test_a_call_that_is_given_up_before_its_job_is_sent_is_not_sent(open_model):
    mock = MockGemini()
    async with serving(mock) as url:
        model = await open_model(url, **{**QUICK, "batch_quiet_s": 0.3})
        first, *others = [asyncio.create_task(model.complete(asked)) for asked in requests(3)]
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.gather(*others)
    assert [len(job.requests) for job in mock.batches.jobs.values()] == [2]


async def test_answers_that_nobody_asked_for_yet_wait_in_their_job_for_the_next_run(open_model, tmp_path):
    mock = MockGemini(batch_s=0.2)
    async with serving(mock) as url:
        first = await open_model(url, **QUICK)
        await killed(first, requests(4), lambda: stored(tmp_path) and stored(tmp_path)[0]["name"])
        second = await open_model(url, **QUICK)
        assert reasons(await ask_all(second, requests(2))) == ["ok"] * 2
        await until(lambda: len(stored(tmp_path)[0]["taken"]) == 2)
        await second.close()
        assert reasons(await ask_all(await open_model(url, **QUICK), requests(4)[2:])) == ["ok"] * 2
        await until(lambda: not stored(tmp_path))
    assert len(mock.batches.made) == 1


async def test_a_job_of_a_killed_run_is_found_by_its_stored_name(open_model, tmp_path):
    mock = MockGemini(batch_s=0.6)
    async with serving(mock) as url:
        first = await open_model(url, **QUICK)
        await killed(first, requests(5), lambda: stored(tmp_path) and stored(tmp_path)[0]["name"])
        assert [len(job["keys"]) for job in stored(tmp_path)] == [5]
        again = await open_model(url, **QUICK)
        outcomes = await ask_all(again, requests(5))
        await until(lambda: not stored(tmp_path))
    assert reasons(outcomes) == ["ok"] * 5
    assert len(mock.batches.made) == 1
    assert "goes on waiting for the batch job batches/job0" in again.context.warnings[0]


async def test_a_job_created_just_before_the_kill_is_found_by_its_display_name(open_model, tmp_path):
    mock = MockGemini(batch_s=0.3)
    async with serving(mock) as url:
        for number in range(5):  # so that it stands on a later page of the list
            mock.batches.create("m", {"batch": {"displayName": f"{number}", "inputConfig": other_requests()}})
        first = await open_model(url, **QUICK)
        await killed(first, requests(5), lambda: len(mock.batches.made) == 6)
        for number in range(5):
            mock.batches.create("m", {"batch": {"displayName": f"{number}", "inputConfig": other_requests()}})
        (job,) = stored(tmp_path)
        path = next((tmp_path / "batches").glob("*.json"))
        path.write_text(json.dumps({**job, "name": ""}))
        outcomes = await ask_all(await open_model(url, **QUICK), requests(5))
    assert reasons(outcomes) == ["ok"] * 5
    assert mock.batches.made.count(job["display_name"]) == 1 and len(mock.batches.made) == 11


def other_requests() -> dict:
    return {"requests": {"requests": [{"request": {"contents": [{"parts": [{"text": "남의 것"}]}]}}]}}


async def test_a_job_that_was_planned_and_never_created_is_sent_anew(open_model, tmp_path, monkeypatch):
    mock = MockGemini()
    async with serving(mock) as url:
        first = await open_model(url, **QUICK)

        async def never(*arguments):
            await asyncio.Event().wait()

        monkeypatch.setattr(first._client, "create_job", never)
        await killed(first, requests(3), lambda: stored(tmp_path))
        assert stored(tmp_path)[0]["name"] == "" and mock.batches.made == []
        outcomes = await ask_all(await open_model(url, **QUICK), requests(3))
        await until(lambda: not stored(tmp_path))
    assert reasons(outcomes) == ["ok"] * 3
    assert len(mock.batches.made) == 1


async def test_only_what_no_job_covers_is_sent_in_a_new_one(open_model, tmp_path):
    mock = MockGemini(batch_s=0.4)
    async with serving(mock) as url:
        first = await open_model(url, **QUICK)
        await killed(first, requests(4), lambda: stored(tmp_path) and stored(tmp_path)[0]["name"])
        outcomes = await ask_all(await open_model(url, **QUICK), requests(7))
    assert reasons(outcomes) == ["ok"] * 7
    assert [len(job.requests) for job in mock.batches.jobs.values()] == [4, 3]


async def test_a_job_whose_creation_was_not_confirmed_is_looked_for_before_it_is_made_again(open_model, monkeypatch):
    mock = MockGemini()
    async with serving(mock) as url:
        model = await open_model(url, **QUICK)
        create = model._client.create_job

        async def unheard(display_name, inlined):
            await create(display_name, inlined)
            raise RetryableError("transport", "the connection broke")

        monkeypatch.setattr(model._client, "create_job", unheard)
        assert reasons(await ask_all(model, requests(3))) == ["transport"] * 3
        assert reasons(await ask_all(model, requests(3))) == ["ok"] * 3
    assert len(mock.batches.made) == 1


@pytest.mark.parametrize(
    ("end", "reason"),
    [("failed", "server_error"), ("expired", "timeout")],
)
async def test_a_job_that_fails_is_retryable_and_its_requests_go_into_a_new_one(open_model, tmp_path, end, reason):
    mock = MockGemini(batch_faults=(end,))
    async with serving(mock) as url:
        model = await open_model(url, **QUICK)
        failed = await ask_all(model, requests(3))
        assert {type(outcome) for outcome in failed} == {RetryableError} and reasons(failed) == [reason] * 3
        assert stored(tmp_path) == []
        assert reasons(await ask_all(model, requests(3))) == ["ok"] * 3
    assert len(mock.batches.made) == 2


async def test_a_job_that_someone_cancelled_stops_the_run(open_model, tmp_path):
    async with serving(MockGemini(batch_faults=("cancelled",))) as url:
        outcomes = await ask_all(await open_model(url, **QUICK), requests(2))
    assert {type(outcome) for outcome in outcomes} == {StepError}
    assert "was cancelled.\nRun the same command again" in str(outcomes[0])
    assert stored(tmp_path) == []


async def test_of_a_partial_job_the_answers_are_taken_and_the_rest_is_asked_again(open_model):
    mock = MockGemini(batch_faults=("partial",))
    async with serving(mock) as url:
        model = await open_model(url, **QUICK)
        outcomes = await ask_all(model, requests(6))
        assert reasons(outcomes) == ["ok", "ok", "server_error"] * 2
        again = [asked for asked, reason in zip(requests(6), reasons(outcomes), strict=True) if reason != "ok"]
        assert reasons(await ask_all(model, again)) == ["ok", "ok"]
    assert [len(job.requests) for job in mock.batches.jobs.values()] == [6, 2]


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ("safety", RecordError, "refusal"),
        ("blocked", RecordError, "refusal"),
        ("max_tokens", RecordError, "truncated"),
        ("empty", RetryableError, "empty"),
        ("rate_limit", RetryableError, "rate_limit"),
        ("server_error", RetryableError, "server_error"),
    ],
)
async def test_each_fault_inside_of_results_has_its_reason(open_model, fault, kind, reason):
    async with serving(MockGemini(faults={fault: 1.0})) as url:
        (outcome,) = await ask_all(await open_model(url, **QUICK), requests(1))
    assert type(outcome) is kind and outcome.reason == reason
    assert (outcome.usage is not None) == (fault not in ("rate_limit", "server_error"))


async def test_a_prompt_that_is_too_long_is_rejected_alone(open_model):
    asked = [*requests(1), ChatRequest(messages=(Message(role="user", content="긴 질문 " * 100),))]
    async with serving(MockGemini(context_tokens=100)) as url:
        outcomes = await ask_all(await open_model(url, **QUICK), asked)
    assert reasons(outcomes) == ["ok", "prompt_too_long"]


async def test_an_answer_is_handed_out_once_so_that_asking_again_asks_anew(open_model):
    mock = MockGemini(faults={"empty": 1.0}, faults_per_request=1)
    async with serving(mock) as url:
        model = await open_model(url, **QUICK)
        assert reasons(await ask_all(model, requests(1))) == ["empty"]
        assert reasons(await ask_all(model, requests(1))) == ["ok"]
    assert len(mock.batches.made) == 2


async def test_a_call_that_ran_out_of_time_comes_back_to_the_same_job(open_model):
    mock = MockGemini(batch_s=0.5)
    async with serving(mock) as url:
        model = await open_model(url, **QUICK)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(model.complete(requests(1)[0]), 0.25)
        assert reasons(await ask_all(model, requests(1))) == ["ok"]
    assert len(mock.batches.made) == 1


async def test_a_server_that_cannot_be_asked_for_a_while_loses_no_job(open_model, monkeypatch):
    mock = MockGemini(batch_s=0.1)
    async with serving(mock) as url:
        model = await open_model(url, **QUICK)
        look, times = model._client.get_job, []

        async def sometimes(name):
            times.append(name)
            if len(times) < 3:
                raise RetryableError("overloaded", "busy")
            return await look(name)

        monkeypatch.setattr(model._client, "get_job", sometimes)
        assert reasons(await ask_all(model, requests(2))) == ["ok", "ok"]
    assert "cannot look at the batch jobs, and tries again: overloaded: busy" in model.context.warnings
    assert len(mock.batches.made) == 1


async def test_a_key_that_is_refused_at_work_stops_the_run_and_keeps_the_job(open_model, tmp_path):
    mock = MockGemini(batch_s=0.3, key="right")
    async with serving(mock) as url:
        first = await open_model(url, **QUICK, api_key="right")
        await killed(first, requests(2), lambda: stored(tmp_path) and stored(tmp_path)[0]["name"])
        outcomes = await ask_all(await open_model(url, **QUICK, api_key="wrong"), requests(2))
        assert {type(outcome) for outcome in outcomes} == {AuthenticationError}
        assert reasons(await ask_all(await open_model(url, **QUICK, api_key="right"), requests(2))) == ["ok", "ok"]
    assert len(mock.batches.made) == 1


async def test_a_state_that_is_new_to_us_is_waited_for(open_model):
    mock = MockGemini(batch_s=0.3)
    state = mock.batches._state
    mock.batches._state = lambda job: {"RUNNING": "TIDYING_UP"}.get(state(job), state(job))
    async with serving(mock) as url:
        assert reasons(await ask_all(await open_model(url, **QUICK), requests(2))) == ["ok", "ok"]
    assert len(mock.batches.made) == 1


async def test_a_quota_that_is_spent_at_creation_parks(open_model, tmp_path, monkeypatch):
    async with serving(MockGemini()) as url:
        model = await open_model(url, **QUICK)

        async def spent(*arguments):
            raise ParkedError("spent")

        monkeypatch.setattr(model._client, "create_job", spent)
        outcomes = await ask_all(model, requests(2))
    assert {type(outcome) for outcome in outcomes} == {ParkedError}
    assert stored(tmp_path) == []


async def test_a_job_that_google_forgot_is_made_again(open_model, tmp_path):
    mock = MockGemini(batch_s=0.3)
    async with serving(mock) as url:
        first = await open_model(url, **QUICK)
        await killed(first, requests(2), lambda: stored(tmp_path) and stored(tmp_path)[0]["name"])
        mock.batches.jobs.clear()
        second = await open_model(url, **QUICK)
        outcomes = await ask_all(second, requests(2))
        assert reasons(outcomes) == ["timeout"] * 2 and "Google keeps answers for two days" in str(outcomes[0])
        assert reasons(await ask_all(second, requests(2))) == ["ok"] * 2


async def test_a_file_that_is_no_job_says_what_to_do(open_model, tmp_path):
    (tmp_path / "batches").mkdir()
    (tmp_path / "batches" / "x.json").write_text("{}")
    with pytest.raises(StepError, match=r"x.json does not hold a batch job(.|\n)*Delete it"):
        await open_model("http://127.0.0.1:9", **QUICK)


async def test_an_old_file_is_tidied_up(open_model, tmp_path):
    folder = tmp_path / "batches"
    folder.mkdir()
    old = {"display_name": "wmsforge-1", "keys": ["a"], "made_at": "2026-01-01T00:00:00+00:00", "name": "", "taken": []}
    (folder / "wmsforge-1.json").write_text(json.dumps(old))
    await open_model("http://127.0.0.1:9", **QUICK)
    assert stored(tmp_path) == []


@pytest.mark.parametrize("reason", ["server_error", "overloaded", "malformed_response"])
async def test_a_job_that_was_made_behind_a_failing_gateway_is_found_and_not_made_twice(
    open_model, tmp_path, monkeypatch, reason
):
    mock = MockGemini(batch_s=0.3)
    async with serving(mock) as url:
        model = await open_model(url, **QUICK)
        create = model._client.create_job

        async def gateway(*of):
            await create(*of)
            raise RetryableError(reason, "no answer of the server behind")

        monkeypatch.setattr(model._client, "create_job", gateway)
        assert reasons(await ask_all(model, requests(3))) == [reason] * 3
        assert reasons(await ask_all(model, requests(3))) == ["ok"] * 3
    assert len(mock.batches.made) == 1


async def test_a_job_that_is_pending_when_batch_is_turned_off_is_told(open_model, tmp_path):
    async with serving(MockGemini(batch_s=30)) as url:
        first = await open_model(url, **QUICK)
        await killed(first, requests(2), lambda: stored(tmp_path) and stored(tmp_path)[0]["name"])
        plain = await open_model(url)
    assert any("a batch job of an earlier run is not read" in warning for warning in plain.context.warnings)
