"""Ledger: a stored call is answered, survives the process, is stored once and counted once."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wmsforge.errors import RecordError, StepError
from wmsforge.steps.chat_model import ChatRequest, ChatResponse, Message, Usage
from wmsforge.store.call_keys import CallKeys
from wmsforge.store.ledger import Attempt, Caller, Ledger
from wmsforge.store.manifest import Paid

CALLER = Caller("recipe", "answers", "m", "q", "run-1")


def request(text: str, **changes: object) -> str:
    return ChatRequest(messages=(Message(role="user", content=text),), **changes).model_dump_json()  # type: ignore[arg-type]


def put(ledger: Ledger, key: bytes, text: str) -> None:
    response = ChatResponse(text=text, usage=Usage(prompt_tokens=5, completion_tokens=7), created_at="2026-01-01")
    ledger.put(key, CALLER, "{}", response)


def test_the_key_depends_on_model_prompt_parameters_and_sample() -> None:
    model = {"use": "a/b", "version": "1", "options": {"model": "x"}}
    keys = {
        CallKeys(model).key(request("질문")),
        CallKeys({**model, "version": "2"}).key(request("질문")),
        CallKeys(model).key(request("다른 질문")),
        CallKeys(model).key(request("질문", sample=1)),
        CallKeys(model).key(request("질문", temperature=0.5)),
    }
    assert len(keys) == 5
    assert CallKeys(dict(reversed(model.items()))).key(request("질문")) in keys


def test_the_first_response_of_a_key_stays(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    put(ledger, b"k" * 16, "하나")
    put(ledger, b"k" * 16, "둘")
    stored = ledger.get(b"k" * 16)
    assert stored is not None
    assert (stored.text, stored.usage.completion_tokens, stored.created_at) == ("하나", 7, "2026-01-01")
    assert ledger.get(b"x" * 16) is None
    assert ledger.count() == 1


def test_every_put_that_returned_survives_kill_9(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from wmsforge.store.ledger import Caller, Ledger\n"
        "from wmsforge.steps.chat_model import ChatResponse\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "for n in range(10**9):\n"
        "    ledger.put(n.to_bytes(16, 'big'), Caller('r', 's', 'm', 'q', 'run'), '{}', ChatResponse(text='답'))\n"
        "    print(n, flush=True)\n"
    )
    path = tmp_path / "ledger.sqlite"
    child = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = [int(child.stdout.readline()) for _ in range(300)][-1]
    os.kill(child.pid, signal.SIGKILL)
    acknowledged = max([acknowledged, *(int(line) for line in child.stdout.read().split()[:-1])])
    child.wait()
    child.stdout.close()
    ledger = Ledger(path)
    assert all(ledger.get(n.to_bytes(16, "big")) is not None for n in range(acknowledged + 1))


def test_a_file_that_is_no_ledger_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(StepError, match=r"ledger\.sqlite cannot be opened: file is not a database"):
        Ledger(tmp_path / "ledger.sqlite")


# -- failures that were paid for, and requests that are no stored call

USAGE = Usage(prompt_tokens=100, cached_tokens=10, completion_tokens=20, thought_tokens=5)


def test_a_failure_that_was_paid_for_comes_back_as_it_was(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    failure = RecordError("refusal", "it would not", raw='{"거절": true}', usage=USAGE.model_dump())
    ledger.put(b"k" * 16, CALLER, "{}", failure, cost_usd=0.25, at="2026-11-25T10:00:00Z")
    stored = ledger.get(b"k" * 16)
    assert isinstance(stored, RecordError)
    assert (stored.reason, stored.detail, stored.raw) == ("refusal", "it would not", '{"거절": true}')
    assert stored.usage == USAGE.model_dump()
    assert ledger.paid("recipe")["answers", "m"].cost_usd == 0.25


def test_a_request_ends_as_a_call_or_as_an_attempt_and_is_counted_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    response = ChatResponse(text="a", usage=USAGE, created_at="2026-11-25T10:00:00Z")
    answered = ledger.begin(b"1" * 16, CALLER, USAGE, 0.5, "2026-11-25T10:00:00Z")
    failed = ledger.begin(b"2" * 16, CALLER, USAGE, 0.5, "2026-11-25T10:00:00Z")
    ledger.begin(b"3" * 16, CALLER, USAGE, 0.5, "2026-11-25T10:00:00Z")  # the process is killed
    ledger.put(b"1" * 16, CALLER, "{}", response, cost_usd=0.1, attempt=answered)
    ledger.add(b"2" * 16, CALLER, Attempt("rate_limit", raw="429"), "2026-11-25T10:00:01Z", failed)
    assert ledger.close_open() == 1
    assert ledger.close_open() == 0
    tokens = {"prompt_tokens": 100, "cached_tokens": 10, "completion_tokens": 20, "thought_tokens": 5}
    assert ledger.paid("recipe") == {
        ("answers", "m"): Paid(
            calls=1, attempts=2, cost_usd=0.1, unpriced=1, uncertain_usd=0.5, uncertain_tokens=125, **tokens
        )
    }
    assert ledger.paid("recipe", "questions") == {}
    assert ledger.paid("other") == {}


def test_a_request_found_again_takes_over_its_row(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    key, next_run = b"k" * 16, replace(CALLER, run="run-2")
    ledger.begin(key, CALLER, USAGE, 0.5, "2026-11-25T10:00:00Z")
    assert ledger.interrupted(key, next_run) is None  # it is still under way
    ledger.close_open()
    before = ledger.interrupted(key, next_run)
    assert before is not None
    assert (before.cost_usd, before.tokens) == (0.5, 125)
    assert ledger.interrupted(key, replace(next_run, step="questions")) is None
    row = ledger.begin(key, next_run, USAGE, 0.5, "2026-11-25T11:00:00Z", before.row)
    assert ledger.interrupted(key, next_run) is None
    assert ledger.paid("recipe")["answers", "m"].attempts == 1
    ledger.put(key, next_run, "{}", ChatResponse(text="a", usage=USAGE), cost_usd=0.1, attempt=row)
    paid = ledger.paid("recipe")["answers", "m"]
    assert (paid.calls, paid.attempts, paid.cost_usd, paid.uncertain_usd) == (1, 0, 0.1, 0)


def test_a_forgotten_call_is_made_again_and_its_cost_stays_counted(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    key = b"k" * 16
    ledger.put(key, CALLER, "{}", RecordError("truncated", usage=USAGE.model_dump()), cost_usd=0.25, at="2026-11-25")
    assert ledger.forget([key, b"x" * 16]) == 1
    assert ledger.get(key) is None
    ledger.put(key, CALLER, "{}", ChatResponse(text="a", usage=USAGE), cost_usd=0.5)
    paid = ledger.paid("recipe")["answers", "m"]
    assert (paid.calls, paid.attempts, paid.cost_usd, paid.prompt_tokens) == (1, 1, 0.75, 200)


def test_requests_of_the_last_minute_are_known_by_quota(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    now = datetime.now(UTC)
    ago = [(now - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ") for seconds in (5, 30, 90)]
    for number, at in enumerate(ago):
        ledger.add(bytes([number]) * 16, CALLER, Attempt("embedding", usage=USAGE), at)
    ledger.add(b"x" * 16, replace(CALLER, quota="other"), Attempt("rate_limit"), ago[0])
    recent = ledger.recent("q", 61)
    assert [tokens for _, tokens in recent] == [125, 125]
    assert [seconds for seconds, _ in recent] == pytest.approx([5, 30], abs=2)


def test_a_ledger_of_version_1_keeps_its_calls(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE calls (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, step TEXT NOT NULL, model TEXT"
            " NOT NULL, request TEXT NOT NULL, response TEXT NOT NULL, prompt_tokens INTEGER NOT NULL,"
            " completion_tokens INTEGER NOT NULL, created_at TEXT NOT NULL, run TEXT NOT NULL)"
        )
        response = ChatResponse(text="하나", created_at="2026-01-01").model_dump_json()
        row = (b"k" * 16, "answers", "m", "{}", response, 5, 7, "2026-01-01", "r")
        database.execute(f"INSERT INTO calls VALUES (NULL{', ?' * len(row)})", row)
    for _ in range(2):  # the second time it is of version 2 already
        ledger = Ledger(path)
        stored = ledger.get(b"k" * 16)
        assert isinstance(stored, ChatResponse)
        assert stored.text == "하나"
        put(ledger, b"n" * 16, "둘")
        assert ledger.paid("recipe")["answers", "m"].calls == 1  # what no recipe is known of is no one's cost
        ledger.close()
