"""Counts: the conservation law is checked, not believed."""

import pytest

from wmsforge.errors import StepError
from wmsforge.store.manifest import Counts


def test_counts_that_add_up_pass() -> None:
    Counts(read=10, ok=8, failed=2, made=12, dropped=3, out=9, reasons={"a": 5}).check("s", written=9)


@pytest.mark.parametrize(
    ("change", "law"),
    [
        ({"ok": 7}, "read = ok + failed"),
        ({"made": 11}, "made = out [+] dropped"),
        ({"out": 8, "dropped": 4}, "out = records written"),
        ({"reasons": {"a": 4}}, "rejected = reasons"),
    ],
)
def test_each_broken_law_is_named(change: dict[str, object], law: str) -> None:
    counts = Counts(read=10, ok=8, failed=2, made=12, dropped=3, out=9, reasons={"a": 5})
    with pytest.raises(StepError, match=law.replace("+ f", "[+] f")):
        counts.model_copy(update=change).check("s", written=9)
