"""Ledger: a stored call is answered, survives the process, and is stored once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wmsforge.errors import StepError
from wmsforge.steps.chat_model import ChatRequest, ChatResponse, Message, Usage
from wmsforge.store.ledger import Caller, Ledger, call_key

CALLER = Caller("recipe", "answers", "m", "q", "run-1")


def request(text: str, **changes: object) -> str:
    return ChatRequest(messages=(Message(role="user", content=text),), **changes).model_dump_json()  # type: ignore[arg-type]


def put(ledger: Ledger, key: bytes, text: str) -> None:
    response = ChatResponse(text=text, usage=Usage(prompt_tokens=5, completion_tokens=7), created_at="2026-01-01")
    ledger.put(key, CALLER, "{}", response)


def test_the_key_depends_on_model_prompt_parameters_and_sample() -> None:
    model = {"use": "a/b", "version": "1", "options": {"model": "x"}}
    keys = {
        call_key(model, request("질문")),
        call_key({**model, "version": "2"}, request("질문")),
        call_key(model, request("다른 질문")),
        call_key(model, request("질문", sample=1)),
        call_key(model, request("질문", temperature=0.5)),
    }
    assert len(keys) == 5
    assert call_key(dict(reversed(model.items())), request("질문")) in keys


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
