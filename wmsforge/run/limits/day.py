"""The requests of a day: counted over all runs, from midnight of the provider's time zone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from wmsforge.errors import ParkedError


def now_utc() -> datetime:
    """Return what the wall clock says, which days go by."""
    return datetime.now(UTC)


class Day:
    """What is left of a day's requests.

    Args:
        name: The model, for messages.
        most: Requests a day.
        zone: Name of the time zone whose midnight renews them.
        used: Requests since `day_start`, of this process and of others before it.
        clock: Gives the time, with a zone.
    """

    def __init__(self, name: str, most: int, zone: str, used: int, clock: Callable[[], datetime] = now_utc) -> None:
        self._name = name
        self._most = most
        self._zone = zone
        self._used = used
        self._clock = clock
        self._ends = day_end(zone, clock())

    def take(self) -> None:
        """Use one request.

        Raises:
            ParkedError: If none is left today; says when there are more.
        """
        now = self._clock()
        if now >= self._ends:
            self._used = 0
            self._ends = day_end(self._zone, now)
        if self._used >= self._most:
            raise ParkedError(
                f"Model {self._name!r}: the {self._most:,} requests of this day (requests_per_day) are used up; "
                f"there are more from {self._ends:%Y-%m-%d %H:%M} {self._zone}.\n"
                f"Everything so far is stored and is not paid again: run the same command then.",
                reset_at=self._ends.isoformat(timespec="minutes"),
            )
        self._used += 1


def day_start(zone: str, now: datetime) -> datetime:
    """Return the last midnight in a time zone."""
    return now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)


def day_end(zone: str, now: datetime) -> datetime:
    """Return the next midnight in a time zone; a day may have 23 or 25 hours."""
    return day_start(zone, now) + timedelta(days=1)
