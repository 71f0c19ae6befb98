"""Plain progress lines; the live table and whole runs are in test_run.py."""

from types import SimpleNamespace
from typing import Any

import pytest

from wmsforge.cli import progress as progress_module
from wmsforge.cli.progress import Progress, share
from wmsforge.store.manifest import CallCounts, Counts


def step(id: str = "answers", kind: str = "answer_generator", **facts: Any) -> Any:
    """Return what progress reads of a step that runs: 500 questions have come, 100 are done."""
    values = {
        "id": id,
        "step": SimpleNamespace(kind=kind),
        "state": "running",
        "counts": Counts(read=256, ok=90, failed=10, made=90, out=90),
        "manifest": None,
        "store": object(),
        "inputs": [SimpleNamespace(manifest=None)],
        "inputs_written": lambda: 500,
        "resources": SimpleNamespace(calls=lambda id: {"expert": CallCounts(calls=95, reused=5, prompt_tokens=12_345)}),
    }
    return SimpleNamespace(**values | facts)


def test_a_long_step_says_how_far_it_is_once_in_a_while(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: clock[0])
    progress = Progress(SimpleNamespace(), {"answers": step()})  # type: ignore[arg-type]
    progress("step_started", {"step": "answers", "component": "answer_generator/rag", "reason": "not done yet"})
    for clock[0] in (101.0, 109.0, 110.5, 111.0, 121.0):
        progress.tick()
    assert capsys.readouterr().err.splitlines() == [
        "answers started (answer_generator/rag): not done yet",
        "answers running: 100 of 500 in, 90 out, 10 rejected, 10.5 s, 12.3 k tokens, 5 calls reused, cost unknown",
        "answers running: 100 of 500 in, 90 out, 10 rejected, 21.0 s, 12.3 k tokens, 5 calls reused, cost unknown",
    ]


def test_the_share_that_is_done_is_known_once_all_input_is_there() -> None:
    assert share(step()) == 0
    done = [SimpleNamespace(manifest=object())]
    assert share(step(inputs=done)) == 0.2
    assert share(step(inputs=done, state="done")) == 0
    assert share(step(kind="question_generator", inputs=done)) == 0


def test_a_change_of_the_calls_at_once_is_told_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: clock[0])
    progress = Progress(SimpleNamespace(), {})  # type: ignore[arg-type]
    for clock[0], level in ((100.0, 8), (101.0, 9), (140.0, 4)):
        progress("level", {"model": "expert (solar)", "calls_at_once": level, "why": "fewer are turned away"})
    assert capsys.readouterr().err.splitlines() == [
        "expert (solar): 8 calls at once (fewer are turned away)",
        "expert (solar): 4 calls at once (fewer are turned away)",
    ]
