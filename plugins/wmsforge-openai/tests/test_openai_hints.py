"""How long to wait, and whether it is for another day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from zoneinfo import ZoneInfo

import pytest
from openai_replies import error, google_error, replying
from wmsforge_openai.hints import duration_s, wait_hint_s

from wmsforge.errors import ParkedError, RetryableError, StepError
from wmsforge.steps.chat_model import ChatRequest, Message

REQUEST = ChatRequest(messages=(Message(role="user", content="피킹이란?"),))
RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.537s"}


def quota_failure(quota: str) -> dict[str, object]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]}


def rolling_day(limit: int, wait: str) -> dict[str, object]:
    said = f"Rate limit reached for m in organization org-x on requests per day (RPD): Limit {limit}, Used {limit}, "
    return error(f"{said}Requested 1. Please try again in {wait}. Visit the limits page.", "requests")


@pytest.mark.parametrize("status", [429, 503, 500])
async def test_the_wait_hint_of_a_reply_is_passed_on(open_model, status):
    async with replying(status, error("slow down"), {"Retry-After": "7"}) as base_url:
        model = await open_model(base_url)
        with pytest.raises(RetryableError) as raised:
            await model.complete(REQUEST)
    assert raised.value.after_s == 7.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "2.5"}, 2.5),
        ({"Retry-After": "9", "retry-after-ms": "150"}, 0.15),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1.25s"}, 1.25),
        ({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": "1.25s"}, None),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "20ms",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            360.0,
        ),
        ({"Retry-After": "2", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 2.0),
    ],
)
def test_wait_hint_reads_seconds_milliseconds_dates_and_what_resets(headers, seconds):
    assert wait_hint_s(headers) == seconds


def test_wait_hint_counts_from_now_to_an_http_date():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < wait_hint_s({"Retry-After": soon}) <= 60


def test_wait_hint_reads_googles_delay_first_and_words_last():
    assert wait_hint_s({"Retry-After": "9"}, "Please try again in 3s.", "1.537s") == 1.537
    assert wait_hint_s({}, "Rate limit reached. Please try again in 1.2s. Visit us.") == 1.2
    assert wait_hint_s({}, "Please try again in 7m12s. Visit us.") == 432
    assert wait_hint_s({}, "Please try again in a moment.") is None


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("20ms", 0.02), ("6m0s", 360), ("24h0m0s", 86_400), ("1d2h", 93_600), ("59.7s", 59.7), ("", None), ("7", None)],
)
def test_durations_as_openai_and_google_write_them(written, seconds):
    assert duration_s(written) == seconds


async def test_googles_endpoint_says_how_long_in_its_details(open_model):
    per_minute = quota_failure("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")
    async with replying(
        429, google_error("RESOURCE_EXHAUSTED", "You exceeded it.", per_minute, RETRY_INFO)
    ) as base_url:
        model = await open_model(base_url)
        with pytest.raises(RetryableError) as raised:
            await model.complete(REQUEST)
    assert (raised.value.reason, raised.value.after_s) == ("rate_limit", 1.537)
    assert "You exceeded it." in raised.value.detail


async def test_googles_quota_of_a_day_parks_until_midnight_of_its_zone_whatever_the_delay(open_model):
    per_day = quota_failure("GenerateRequestsPerDayPerProjectPerModel-FreeTier")
    async with replying(429, google_error("RESOURCE_EXHAUSTED", "You exceeded it.", RETRY_INFO, per_day)) as base_url:
        model = await open_model(base_url)
        with pytest.raises(ParkedError, match="the day's quota is used up") as raised:
            await model.complete(REQUEST)
    reset = datetime.fromisoformat(raised.value.reset_at)
    there = reset.astimezone(ZoneInfo("America/Los_Angeles"))
    assert (there.hour, there.minute) == (0, 0)
    assert timedelta(0) < reset - datetime.now(UTC) <= timedelta(hours=25)


async def test_googles_wrong_key_stops_the_run_though_its_status_is_400(open_model):
    reason = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    async with replying(400, google_error("INVALID_ARGUMENT", "API key not valid.", reason)) as base_url:
        model = await open_model(base_url, api_key="sk-wrong")
        with pytest.raises(StepError, match="refuses the key"):
            await model.complete(REQUEST)


async def test_a_day_that_rolls_is_waited_for_when_its_next_request_comes_soon(open_model):
    async with replying(429, rolling_day(10_000, "8.64s")) as base_url:
        model = await open_model(base_url)
        with pytest.raises(RetryableError) as raised:
            await model.complete(REQUEST)
    assert raised.value.after_s == 8.64


async def test_a_day_that_gives_nothing_back_for_minutes_parks_and_says_until_when(open_model):
    async with replying(429, rolling_day(200, "7m12s")) as base_url:
        model = await open_model(base_url)
        with pytest.raises(ParkedError, match=r"requests per day \(RPD\)") as raised:
            await model.complete(REQUEST)
    waits = datetime.fromisoformat(raised.value.reset_at) - datetime.now(UTC)
    assert timedelta(minutes=6, seconds=50) < waits <= timedelta(minutes=7, seconds=12)


async def test_a_day_that_does_not_say_until_when_parks_without_a_time(open_model):
    async with replying(429, error("Rate limit exceeded: free-models-per-day")) as base_url:
        model = await open_model(base_url)
        with pytest.raises(ParkedError) as raised:
            await model.complete(REQUEST)
    assert raised.value.reset_at is None
