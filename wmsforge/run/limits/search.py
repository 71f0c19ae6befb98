"""The search for the number of calls to have in flight, which no provider tells.

Latency is compared with that of an unloaded server. While it is the same, more calls are tried: twice as many at
first, later a few more each time, and more of them the longer it goes well. Where they only wait in the server's
queue, latency rises in proportion, so the level falls by as much; a little queue is kept, since it costs nothing
and an idle server does. Calls turned away (429, 503) cut the level too. So it is additive increase and
multiplicative decrease (Chiu and Jain, 1989) with the latency signal of TCP Vegas (Brakmo and Peterson, 1995).

Not all that looks like overload is one: a share of calls may be turned away at random, and answers may become
longer in the middle of a run. So a cut that nothing led up to is a trial: if it does not help, it was not our
doing, the level goes back and what was seen is the usual from then on.
"""

from __future__ import annotations

import math

from wmsforge.run.limits.seen import Seen

START = 44
"""Calls in flight at first, if as many are allowed: as many as tell of an unloaded server where 64 are."""
ROUND = 32
"""Calls by which a level is judged at least, and twice its own number; while it doubles, `ROUND` and once."""
EXACT = 0.1
"""Standard error of a round's latency (of its logarithm) to aim at; answers that vary much need longer rounds."""
LONGEST = 6
"""Times its own number of calls by which a level is judged at most, and as many times `ROUND`."""
TRIAL = 64
"""Calls by which it is judged whether a cut has helped, at least."""
FREE, QUEUED = math.log(1.2), math.log(1.5)
"""Latency, in logarithms over the unloaded one: below the first there is room for more, above the second too many
wait. Between them, the server has work and a short queue."""
KEPT_QUEUE = 1.15
"""What the latency is aimed at, over the unloaded one, when the level is cut."""
FIRST_STEP = 1 / 16
"""Share of the level that is added; twice as much each time in a row."""
REMEMBERED = 1_000
"""Calls over which the usual share of calls turned away is taken."""
SURE = 3.0
"""Standard errors from which on a change is no chance, where nothing spoke for it before; 2 where something did."""
TURNED_AWAY = 0.05
"""Share of calls turned away, beyond the usual, that counts as overload."""
AT_RANDOM = 0.5
"""A share of calls turned away in the first round that may well be so whatever the level: a look down will tell."""
LOOK_DOWN = 0.6
"""Share of the level at which it is seen anew what an unloaded server does."""
STILL_QUEUED = 0.8
"""Power of the level with which latency falls where a look finds the server loaded still; 1 is nothing but queue."""
PATIENCE = 8, 32
"""Rounds at a level before it is asked again whether it still is the best: at first, and at most."""


class Base:
    """The unloaded server's latency."""

    def __init__(self, seen: Seen, latency: float) -> None:
        self.level = seen.level
        self.latency = latency
        self.doubt = seen.doubt

    def pool(self, seen: Seen, latency: float) -> None:
        """Take in another round at which the server was unloaded."""
        known, new = 1 / max(self.doubt, (EXACT / 2) ** 2), 1 / seen.doubt
        self.latency = (known * self.latency + new * latency) / (known + new)
        self.doubt = 1 / (known + new)


class Usual:
    """The share of calls that are turned away whatever the level."""

    def __init__(self, *rounds: Seen) -> None:
        self.size = sum(seen.size for seen in rounds) or REMEMBERED
        self.share = sum(seen.share * seen.size for seen in rounds) / self.size

    def is_more(self, seen: Seen) -> bool:
        """Tell whether so many more were turned away that it is no chance."""
        return seen.share > self.share + TURNED_AWAY + SURE * self._chance(seen)

    def is_less(self, seen: Seen) -> bool:
        """Tell whether so many fewer were turned away that it is no chance."""
        return seen.share < self.share - SURE * self._chance(seen)

    def pool(self, seen: Seen) -> None:
        """Take in a round whose share was the usual one."""
        known = min(self.size, REMEMBERED)
        self.share = (self.share * known + seen.share * seen.size) / (known + seen.size)
        self.size = known + seen.size

    def _chance(self, seen: Seen) -> float:
        """Return the standard error of the difference of the shares."""
        share = (self.share * self.size + 1) / (self.size + 2)
        return math.sqrt(share * (1 - share) * (1 / self.size + 1 / seen.size))


class Search:
    """Judges rounds of calls and says at which level to make the next.

    Args:
        most: Calls in flight at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.level = min(most, START)
        self._doubling = True
        self._base: Base | None = None
        self._spread = 0.0
        self._usual = Usual()
        self._good = self.level
        """The last level at which all was well."""
        self._ceiling: int | None = None
        """A level that was too high."""
        self._origin: Seen | None = None
        """The round that led to a cut, until all is well again."""
        self._origin_turned_away = False
        self._on_trial = False
        """Whether the cut is still to be judged."""
        self._looks_from: Seen | None = None
        """The round to go back to after a look at the unloaded latency."""
        self._in_a_row = 0
        self._stayed = 0
        self._patience = PATIENCE[0]

    def round(self) -> Seen:
        """Return the next round to be seen and judged."""
        level = self.level
        if self._on_trial:
            return Seen(level, max(TRIAL, 2 * level))
        if self._doubling:
            return Seen(level, max(ROUND, level))
        needed = math.pi / 2 * (self._spread / EXACT) ** 2
        return Seen(level, max(ROUND, 2 * level, round(min(needed, LONGEST * max(level, ROUND)))))

    def is_over(self, seen: Seen, now_s: float) -> bool:
        """Whether a round can be judged: at its end, or as soon as a step up has turned out to be too much."""
        is_step = self._good < seen.level and not self._on_trial and self._looks_from is None
        return seen.is_complete(now_s) or (is_step and self._usual.is_more(seen))

    def judge(self, seen: Seen) -> str:
        """Set `level` for the next round. Return why it is another one, empty where that is no news."""
        latency = seen.latency
        if not seen.size or not (seen.was_full or self._usual.is_more(seen)):
            return ""  # it was not the level that held the calls back
        if self._on_trial and self._origin is not None:
            return self._judge_cut(seen, self._origin)
        if self._looks_from is not None:
            return self._judge_look(seen, self._looks_from)
        self._spread = seen.spread
        if self._base is None and latency is not None:
            self._base = Base(seen, latency)
            self._usual = Usual(seen) if seen.share < AT_RANDOM else Usual()
        if self._base is None or latency is None or self._usual.is_more(seen):
            return self._cut(seen, _fewer(seen), "calls were turned away", turned_away=True)
        slower = latency - self._base.latency
        doubt = math.sqrt(seen.doubt + self._base.doubt)
        if slower > QUEUED + doubt:
            level = seen.level / math.exp(slower) * KEPT_QUEUE
            return self._cut(seen, level, "the server only queued more calls", turned_away=False)
        self._good = seen.level
        self._origin = None
        if self._usual.is_less(seen):
            self._usual = Usual(seen)
        else:
            self._usual.pool(seen)
        if slower > FREE + (doubt if self._doubling else 0.0):
            self._doubling = False
            self._in_a_row = 0
            return self._stay(seen, self._base, has_room=False)
        if self._doubling or slower < 0:
            self._base.pool(seen, latency)
        return self._grow(seen, self._base)

    # -- up

    def _grow(self, seen: Seen, base: Base) -> str:
        if seen.level >= self._most or not (self._doubling or _is_known(base, seen)):
            return self._stay(seen, base, has_room=True)
        share = 1.0 if self._doubling else min(1.0, FIRST_STEP * 2**self._in_a_row)
        step = max(1, round(seen.level * share))
        if self._ceiling is not None:
            step = min(step, (self._ceiling - seen.level) // 2)
            if step < max(1, seen.level // 16):
                return self._stay(seen, base, has_room=True)
        self._in_a_row += 1
        if self._in_a_row > 1:
            self._patience = PATIENCE[0]
        self._stayed = 0
        self.level = min(self._most, seen.level + step)
        return "the server carries more"

    def _stay(self, seen: Seen, base: Base, *, has_room: bool) -> str:
        self._stayed += 1
        is_known = _is_known(base, seen)
        if self._stayed < (self._patience if is_known else 1):
            return ""
        self._stayed = 0
        if seen.level > 1 and (not is_known or not has_room or self._usual.share > TURNED_AWAY):
            self._look(seen)
        if has_room and self._ceiling is not None:
            self._ceiling = None
            self._in_a_row = 0
            self._patience = min(2 * self._patience, PATIENCE[1])
        return ""

    def _judge_look(self, seen: Seen, before: Seen) -> str:
        self._looks_from = None
        if _are_fewer_turned_away(seen, before, SURE):
            self._usual = Usual(seen)
            self._good = seen.level
            self._ceiling = before.level
            return "calls were turned away"
        self.level = before.level
        if self._base is None or seen.latency is None or before.latency is None:
            return ""
        is_news = abs(seen.latency - self._base.latency) > FREE
        self._patience = PATIENCE[0] if is_news else min(2 * self._patience, PATIENCE[1])
        self._base = Base(seen, seen.latency)
        slower = before.latency - seen.latency
        if slower > STILL_QUEUED * math.log(before.level / seen.level) and seen.level > 1:
            self._ceiling = before.level
            self._look(seen)  # it is not unloaded here either
            return "the server only queued more calls"
        if slower > QUEUED:
            self.level = max(1, math.ceil(before.level / math.exp(slower) * KEPT_QUEUE))
            self._ceiling = before.level
        self._good = self.level
        return "the server only queued more calls" if slower > QUEUED else ""

    def _look(self, seen: Seen) -> None:
        self._looks_from = seen
        self.level = max(1, int(LOOK_DOWN * seen.level))

    # -- down

    def _cut(self, seen: Seen, level: float, why: str, *, turned_away: bool) -> str:
        self._in_a_row = self._stayed = 0
        target = max(1, min(math.ceil(level), seen.level - 1))
        if self._good < seen.level:  # our last step was too much
            self._doubling = False
            self._ceiling = seen.level
            self.level = self._good = self._good if turned_away else max(self._good, target)
            return why
        if self._origin is None:
            self._origin = seen
            self._origin_turned_away = turned_away
        self._on_trial = seen.level > 1
        self.level = target
        return ""

    def _judge_cut(self, seen: Seen, origin: Seen) -> str:
        self._on_trial = False
        if self._origin_turned_away and seen.share >= AT_RANDOM:
            return self._cut(seen, _fewer(seen), "calls were turned away", turned_away=True)
        if self._has_helped(seen, origin):
            self._doubling = False
            self._ceiling = origin.level
            self._good = seen.level
            return "it was too many calls at once"
        if self._origin_turned_away:
            self._usual = Usual(origin, seen)
        if seen.latency is not None:
            self._base = Base(seen, seen.latency)
        self._origin = self._ceiling = None
        self._doubling = True  # what had stopped the search was no reason to
        self.level = origin.level
        return ""

    def _has_helped(self, seen: Seen, origin: Seen) -> bool:
        if self._origin_turned_away:
            return _are_fewer_turned_away(seen, origin, 2)
        if seen.latency is None or origin.latency is None:
            return False
        expected = math.log(origin.level / seen.level)
        return origin.latency - seen.latency > 0.5 * expected - math.sqrt(seen.doubt + origin.doubt)


def _is_known(base: Base, seen: Seen) -> bool:
    """Tell whether the unloaded latency was seen at a level that is low enough to tell something about this one."""
    return base.level <= 0.7 * seen.level or seen.level == 1


def _fewer(seen: Seen) -> float:
    """Return the level to go down to when calls are turned away."""
    return seen.level * max(0.3, min(0.7, 1 - seen.share))


def _are_fewer_turned_away(seen: Seen, before: Seen, sure: float) -> bool:
    """Tell whether chance cannot be why."""
    chance = sum(each.share * (1 - each.share) / each.size for each in (seen, before))
    return before.share - seen.share > sure * math.sqrt(chance) + 1e-9
