"""What calls cost: the dated price table that comes along, and the user's own beside it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wmsforge.errors import Problem, RecipeError
from wmsforge.home import home

MILLION = 1_000_000
NAME = "prices.yaml"


class Price(BaseModel):
    """USD per million tokens. Written `0` it means free, as for a model on your own machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0, description="Of the prompt.")
    output: float = Field(ge=0, description="Of the answer and of the model's thoughts.")
    cached: float | None = Field(default=None, ge=0, description="Of cached tokens of the prompt; as `input` if unset.")

    @model_validator(mode="before")
    @classmethod
    def _free(cls, value: Any) -> Any:
        return {"input": 0, "output": 0} if value == 0 and not isinstance(value, bool) else value

    def cost_usd(self, usage: Mapping[str, int]) -> float:
        """Return what a call cost; `usage` has the fields of `wmsforge.steps.chat_model.Usage`."""
        prompt, cached = usage.get("prompt_tokens", 0), usage.get("cached_tokens", 0)
        cached_price = self.input if self.cached is None else self.cached
        output = usage.get("completion_tokens", 0) + usage.get("thought_tokens", 0)
        return ((prompt - cached) * self.input + cached * cached_price + output * self.output) / MILLION

    def scaled(self, factor: float) -> Price:
        """Return the price times `factor`, such as 0.5 for a batch."""
        cached = None if self.cached is None else self.cached * factor
        return Price(input=self.input * factor, output=self.output * factor, cached=cached)


class Table(BaseModel):
    """A price table: what each model cost on one day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: date = Field(description="The day on which the prices were looked up.")
    source: str = Field(default="", description="Where.")
    models: dict[str, Price] = Field(description="Name of a model as its provider writes it -> price.")
    changes: dict[date, dict[str, Price]] = Field(
        default_factory=dict, description="Day of a change that the provider has announced -> the prices from then on."
    )

    def price(self, model: str, day: date) -> Price | None:
        """Return a model's price on a day, None if it is not in the table."""
        found = self.models.get(model)
        for since, changed in sorted(self.changes.items()):
            if since <= day:
                found = changed.get(model, found)
        return found


FREE = Price(input=0, output=0)


def price_of(model: str) -> Price | None:
    """Return a model's price from the user's table, else from ours, None if neither knows it.

    Raises:
        RecipeError: If the user's table is no price table.
    """
    for table in (user_table(), bundled_table()):
        if table is not None and (price := table.price(model, date.today())) is not None:
            return price
    return None


@cache
def bundled_table() -> Table:
    """Return the table that comes along with wmsforge."""
    return Table.model_validate(yaml.safe_load(files("wmsforge").joinpath(NAME).read_text(encoding="utf-8")))


def user_table() -> Table | None:
    """Return the table of `$WMSFORGE_HOME/prices.yaml`, None if there is no such file.

    Raises:
        RecipeError: If it is no price table.
    """
    path = home() / NAME
    return _read(path) if path.is_file() else None


def _read(path: Path) -> Table:
    try:
        return Table.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise RecipeError(str(path), [Problem(line, column, "", str(error.problem))]) from error
    except (ValidationError, OSError, UnicodeDecodeError) as error:
        found = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        where = ".".join(map(str, found["loc"]))
        form = "write for example: {as_of: 2026-11-24, models: {my-model: {input: 0.5, output: 2}}}"
        raise RecipeError(str(path), [Problem(0, 0, where, f"{found['msg']}; {form}")]) from error
