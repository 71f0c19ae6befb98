"""What the items of a finished preview took, out of the ledger: whether they were asked now or before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from wmsforge.recipe.sample import Request, Sample
from wmsforge.run.step_run import StepRun
from wmsforge.store.ledger import Ledger


def measure(steps: Mapping[str, StepRun], ledger: Ledger) -> dict[str, Sample]:
    """Return what each step of a preview took, of those that asked for items one by one."""
    return {
        id: _sample(step, step.asked, ledger) for id, step in steps.items() if step.asked is not None and step.store
    }


def _sample(step: StepRun, asked: Mapping[str, Sequence[bytes]], ledger: Ledger) -> Sample:
    items = [tuple(_requests(keys, ledger)) for keys in asked.values()]
    items += [()] * (step.counts.read - len(items))  # records that a filter judged without asking anyone
    return Sample(tuple(items), step.offered or step.counts.out)


def _requests(keys: Iterable[bytes], ledger: Ledger) -> Iterator[Request]:
    for key in dict.fromkeys(keys):
        for model, request, usage in ledger.requests(key):
            yield Request(model, _chars(request), usage.model_dump())


def _chars(request: str) -> int:
    """Return the characters of a request's messages and of its schema."""
    if not request:
        return 0
    asked = json.loads(request)
    schema = len(json.dumps(asked["json_schema"])) if asked.get("json_schema") else 0
    return schema + sum(len(message["content"]) for message in asked["messages"])
