"""The table of retired and retiring models, `retired.yaml`."""

from __future__ import annotations

from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

import yaml
from pydantic import BaseModel, ConfigDict, Field

TABLE = "retired.yaml"


class Retired(BaseModel):
    """A model that is gone or goes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Name of the model; * stands for anything.")
    use: str = Field(description="What Google names in its place.")
    shut: date | None = Field(default=None, description="Day of the shutdown, None if it lies further back.")

    def warning(self, model: str, today: date) -> str:
        """Return what to tell someone who asks for `model`."""
        if self.shut is not None and today < self.shut:
            return (
                f"Google shuts {model} down on {self.shut}, and may then answer as {self.use} at that model's price. "
                f"Set model: {self.use}"
            )
        since = f" on {self.shut}" if self.shut is not None else ""
        return f"Google has shut {model} down{since}. Set model: {self.use}"


class Table(BaseModel):
    """Retired models as of one day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: date
    source: str
    models: tuple[Retired, ...]


@cache
def table() -> Table:
    """Return the table that comes along with this plugin."""
    return Table.model_validate(yaml.safe_load(files("wmsforge_gemini").joinpath(TABLE).read_text(encoding="utf-8")))


def retired(model: str) -> Retired | None:
    """Return the entry of a model, with or without `models/` before its name; None if it is not known to go."""
    name = model.removeprefix("models/")
    return next((entry for entry in table().models if fnmatchcase(name, entry.name)), None)
