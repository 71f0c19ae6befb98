"""The requests of a day: counted over all runs, from midnight of the provider's time zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from wmsforge.errors import ParkedError


class Day:
    """What is left of a day's requests.

    Args:
        name: The model, for messages.
        most: Requests a day.
        zone: Name of the time zone whose midnight renews them.
        used: Requests since `start`, of this process and of others before it.
    """

    def __init__(self, name: str, most: int, zone: str, used: int) -> None:
        self._name = name
        self._most = most
        self._zone = zone
        self._used = used
        self._ends = day_start(zone) + timedelta(days=1)

    def take(self) -> None:
        """Use one request.

        Raises:
            ParkedError: If none is left today; says when there are more.
        """
        now = datetime.now(self._ends.tzinfo)
        if now >= self._ends:
            self._used = 0
            self._ends = day_start(self._zone) + timedelta(days=1)
        if self._used >= self._most:
            raise ParkedError(
                f"Model {self._name!r}: the {self._most:,} requests of this day (requests_per_day) are used up.",
                reset_at=self._ends.isoformat(timespec="minutes"),
            )
        self._used += 1


def day_start(zone: str) -> datetime:
    """Return the last midnight in a time zone."""
    now = datetime.now(ZoneInfo(zone))
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
