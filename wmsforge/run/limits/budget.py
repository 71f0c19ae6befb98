"""The recipe's budget: what a call may cost at most is set aside first, so no call in flight can exceed it."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from wmsforge.errors import ParkedError
from wmsforge.recipe.model import Budget


@dataclass(frozen=True)
class Spent:
    """What calls cost, or may cost at most."""

    usd: float = 0.0
    requests: int = 0
    tokens: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.usd + other.usd, self.requests + other.requests, self.tokens + other.tokens)

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.usd - other.usd, self.requests - other.requests, self.tokens - other.tokens)


class Purse:
    """What is left of a budget.

    Args:
        spent: By this recipe so far, over all runs. A call whose end no one saw, because its process was
            killed or it timed out, counts with what it may have cost at most.
    """

    def __init__(self, budget: Budget, spent: Spent, recipe: str) -> None:
        self._budget = budget
        self._spent = spent
        self._recipe = recipe
        self._set_aside = Spent()
        self._in_flight = 0
        self._settled = asyncio.Event()

    async def set_aside(self, most: Spent, counted: Spent | None = None) -> None:
        """Set aside what a call may cost at most; wait for calls in flight while it does not fit.

        Args:
            counted: What is counted for this very call already, by a process that was killed.

        Raises:
            ParkedError: If it does not fit and nothing is in flight that could give back.
        """
        counted = counted or Spent()
        while (over := self._over(self._spent - counted + self._set_aside + most)) and self._in_flight:
            self._settled.clear()
            await self._settled.wait()
        if over:
            needed = getattr(self._spent - counted + most, over)
            more = f"budget.{over}={_more(getattr(self._budget, over), needed)}"
            raise ParkedError(self._words(over), options=("--set", more))
        self._spent -= counted
        self._set_aside += most
        self._in_flight += 1

    def settle(self, most: Spent, real: Spent) -> None:
        """Replace what was set aside by what the call cost."""
        self._set_aside -= most
        self._spent += real
        self._in_flight -= 1
        self._settled.set()

    def _over(self, spent: Spent) -> str:
        """Return which limit this exceeds, empty if none."""
        for unit in ("usd", "requests", "tokens"):
            most = getattr(self._budget, unit)
            if most is not None and getattr(spent, unit) > most + 1e-9:
                return unit
        return ""

    def _words(self, unit: str) -> str:
        spent, most = getattr(self._spent, unit), getattr(self._budget, unit)
        written = f"{spent:,.4f} of {most:,.2f} USD" if unit == "usd" else f"{spent:,} of {most:,} {unit}"
        return (
            f"The budget of {self._recipe} is used up: {written} are spent, and the next call might exceed it.\n"
            f"Everything so far is stored and is not paid again. A higher budget goes on."
        )


def _more(limit: float, needed: float) -> str:
    """Return a limit to go on with: twice the old one, or twice what is needed where that is not enough."""
    more = 2 * (limit if needed <= 2 * limit else needed)
    return f"{more:.3g}" if isinstance(limit, float) else str(math.ceil(more))
