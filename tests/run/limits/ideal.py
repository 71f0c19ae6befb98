"""The wall time of a scheduler that knows everything: what a run under fire is measured against.

plan = [[Attempt(0.4)], [Attempt(0.01, pause_s=2.5), Attempt(0.4)], ...]    # one list a call
ideal_wall_s(plan, concurrency=64)
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Attempt:
    """One try of a call: how it goes is known beforehand.

    Args:
        seconds: For which it takes a place in flight: the latency of an answer, of a 429 or a 500, or of a truncated
            reply; the timeout of a call that hangs.
        pause_s: Seconds from its end until the next try may begin: the hint of a 429, 0 where none was given. The
            pause takes no place.
    """

    seconds: float
    pause_s: float = 0.0


def ideal_wall_s(
    calls: Sequence[Sequence[Attempt]],
    *,
    concurrency: int,
    requests_per_minute: int | None = None,
    longest_first: bool = True,
) -> float:
    """Return the seconds in which a scheduler makes all calls that never leaves a place empty without need.

    It starts whatever may start: a try whose pause is over, those first that have most left to do (the tries and
    pauses still before a call), since a long chain that is begun late ends late. It knows the future; with
    `longest_first` off it takes the calls in their order, as anyone must who does not know which of them will
    hang, and those tried before first. The difference is the price of not knowing the future.

    No try begins before its hint, and no more are in flight than allowed. Backoff without a hint, which is drawn
    at random, is no cost here, and neither is finding out what a server carries: both count against the engine.

    The best schedule of all is a hard problem; this one is never longer than all work spread over the places plus
    the longest chain (Graham, 1966), and with far more calls than places the first of these is nearly all of it.

    Args:
        calls: The tries of each call in order, the last of which ends it.
        concurrency: Tries in flight at most.
        requests_per_minute: Tries that may begin in any 60 seconds, None for no limit.
        longest_first: Whether the calls that will take longest are known.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency must be at least 1, not {concurrency}")
    left = [sum(each.seconds + each.pause_s for each in tries) for tries in calls]

    def urgency(number: int, index: int) -> float:
        return -left[number] if longest_first else -min(index, 1)

    ready = [(urgency(number, 0), number, 0) for number, tries in enumerate(calls) if tries]
    heapq.heapify(ready)
    pausing: list[tuple[float, int, int]] = []
    in_flight: list[tuple[float, int, int]] = []
    begun: deque[float] = deque()
    now = wall_s = 0.0
    while ready or pausing or in_flight:
        while in_flight and in_flight[0][0] <= now:
            ended_at, number, index = heapq.heappop(in_flight)
            if index + 1 < len(calls[number]):
                heapq.heappush(pausing, (ended_at + calls[number][index].pause_s, number, index + 1))
            else:
                wall_s = max(wall_s, ended_at)
        while pausing and pausing[0][0] <= now:
            _, number, index = heapq.heappop(pausing)
            heapq.heappush(ready, (urgency(number, index), number, index))
        while begun and begun[0] <= now - 60:
            begun.popleft()
        is_allowed = requests_per_minute is None or len(begun) < requests_per_minute
        if ready and len(in_flight) < concurrency and is_allowed:
            _, number, index = heapq.heappop(ready)
            attempt = calls[number][index]
            left[number] -= attempt.seconds + attempt.pause_s
            heapq.heappush(in_flight, (now + attempt.seconds, number, index))
            if requests_per_minute is not None:
                begun.append(now)
            continue
        moments = [queue[0][0] for queue in (in_flight, pausing) if queue]
        if ready and not is_allowed:
            moments.append(begun[0] + 60)
        if moments:
            now = max(now, min(moments))
    return wall_s
