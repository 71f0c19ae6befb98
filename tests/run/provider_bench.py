"""A provider whose calls do what the test says, and the ledger they leave."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from wmsforge.errors import RecordError
from wmsforge.prices import Price
from wmsforge.recipe.model import Budget
from wmsforge.run.events import Events
from wmsforge.run.limits.budget import Purse, Spent
from wmsforge.run.limits.clock import now_s
from wmsforge.run.limits.limiter import Limiter
from wmsforge.run.limits.under_way import UnderWay
from wmsforge.run.provider import Call, Provider, Tries
from wmsforge.steps.chat_model import Usage
from wmsforge.steps.limits import LimitOptions
from wmsforge.store.ledger import Attempt, Caller, Ledger
from wmsforge.store.manifest import Paid

KEY = b"k" * 16
MOST = Usage(prompt_tokens=1000, completion_tokens=500)
MOST_USD = 0.002
REAL = Usage(prompt_tokens=400, completion_tokens=100)
REAL_USD = 0.0006
PRICE = Price(input=1, output=2)
Outcome = Exception | Usage | float
"""What a try does: raises, answers with a usage, or takes some seconds before the next outcome."""


class Bench:
    """A provider whose calls do what the test says, the last of it again and again."""

    def __init__(
        self,
        folder: Path,
        *,
        budget: Budget | None = None,
        spent: Spent | None = None,
        resumes: bool = False,
        secrets: dict[str, str] | None = None,
        **limits: Any,
    ) -> None:
        self.ledger = Ledger(folder / "ledger.sqlite")
        self.events = Events(folder / "events.jsonl")
        self.caller = Caller("recipe", "answers", "m", "q", "run-1")
        self.asked: list[float] = []
        self.warnings: list[str] = []
        name, options = "expert (m)", LimitOptions(**limits)
        limiter = Limiter(
            name, "q", [options], self.ledger, fixed=False, warn=self.warnings.append, tell=lambda level, why: None
        )
        purse = None if budget is None else Purse(budget, spent or Spent(), "r.yaml")
        self.provider = Provider(name, "q", options, limiter, PRICE, purse, UnderWay(), resumes, secrets=secrets or {})
        self.tries = Tries(self.provider, self.caller, self.ledger, self.events)

    async def call(self, *script: Outcome, key: bytes = KEY) -> Usage:
        outcomes = list(script)

        async def ask() -> Usage:
            self.asked.append(now_s())
            outcome = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
            while isinstance(outcome, float):
                await asyncio.sleep(outcome)
                outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        def store(outcome: Usage | RecordError, cost_usd: float | None, row: int | None) -> None:
            usage = Usage.model_validate(outcome.usage) if isinstance(outcome, RecordError) else outcome
            self.ledger.add(key, self.caller, Attempt("stored", usage=usage, cost_usd=cost_usd), "", row)

        return await self.tries.make(Call(key, lambda: MOST), ask, lambda usage: usage, store)

    def attempts(self) -> list[tuple[Any, ...]]:
        """Return (reason, raw, tokens, cost, at_most) of each request in the ledger."""
        tokens = "prompt_tokens + completion_tokens + thought_tokens"
        return self.ledger._db.execute(f"SELECT reason, raw, {tokens}, cost_usd, at_most FROM attempts").fetchall()

    def paid(self) -> Paid:
        return sum(self.ledger.paid("recipe").values(), Paid())
