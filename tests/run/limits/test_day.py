"""Day: counted over processes, renewed at the provider's midnight."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from wmsforge.errors import ParkedError
from wmsforge.run.limits.day import Day, day_end, day_start
from wmsforge.steps.chat_model import ChatResponse
from wmsforge.store.ledger import Attempt, Caller, Ledger


def at(hour: int, minute: int = 0, day: int = 25) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def test_the_day_parks_when_it_is_used_up_and_says_until_when() -> None:
    day = Day("expert", 3, "Asia/Seoul", used=2, clock=lambda: at(4))
    day.take()
    with pytest.raises(ParkedError) as raised:
        day.take()
    assert raised.value.reset_at == "2026-11-26T00:00+09:00"
    assert "the 3 requests of this day (requests_per_day) are used up; there are more from 2026-11-26 00:00" in str(
        raised.value
    )


def test_midnight_renews_it_while_the_run_goes_on() -> None:
    now = [at(14, 59)]
    day = Day("expert", 1, "Asia/Seoul", used=1, clock=lambda: now[0])
    with pytest.raises(ParkedError):
        day.take()
    now[0] = at(15)  # midnight in Seoul
    day.take()
    with pytest.raises(ParkedError):
        day.take()


def test_a_day_with_a_change_of_the_clocks_ends_at_midnight_too() -> None:
    noon = datetime(2026, 10, 25, 12, tzinfo=UTC)  # Berlin goes back to winter time that night: 25 hours
    assert (
        day_end("Europe/Berlin", noon).astimezone(UTC) - day_start("Europe/Berlin", noon).astimezone(UTC)
    ).seconds == 3600


def test_requests_of_other_processes_count_failed_and_interrupted_ones_too(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    caller = Caller("recipe", "answers", "m", "key-1", "run-1")
    today, yesterday = "2026-11-25T10:00:00Z", "2026-11-24T14:59:59Z"
    ledger.put(b"1" * 16, caller, "{}", ChatResponse(text="a", created_at=today))
    ledger.put(b"2" * 16, caller, "{}", ChatResponse(text="b", created_at=yesterday))
    ledger.add(b"3" * 16, caller, Attempt("rate_limit"), today)
    ledger.begin(b"4" * 16, caller, Attempt("open").usage, None, today)
    ledger.put(
        b"5" * 16, Caller("recipe", "answers", "m", "key-2", "run-1"), "{}", ChatResponse(text="c", created_at=today)
    )
    assert ledger.requests_since("key-1", day_start("Asia/Seoul", at(11))) == 3
    ledger.close()
