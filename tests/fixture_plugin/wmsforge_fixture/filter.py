"""The filter `contains`."""

from __future__ import annotations

from pydantic import Field

from wmsforge.options import Options as BaseOptions
from wmsforge.steps.filter import KEEP, Filter, Item, Verdict, drop


class ContainsFilter(Filter):
    """Keeps a question or an answer whose text holds the wanted one."""

    class Options(BaseOptions):
        text: str = Field(min_length=1, description="What a record's text must hold.")

    options: Options

    def check(self, record: Item) -> Verdict:
        if self.options.text in record.text:
            return KEEP
        return drop("lacks_text", f"{self.options.text!r} is not in {record.text[:40]!r}")
