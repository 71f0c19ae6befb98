"""Text for terminals: nothing in it is obeyed, figures are short."""

import json

import pytest

from wmsforge.cli.terminal import amount, as_json, clean, clock

HOSTILE = "a\x1b]0;title\x07b\x9b31mc\rd\u202ee\x7f\x00"


def test_nothing_that_a_terminal_obeys_gets_through() -> None:
    assert clean(HOSTILE) == "a\ufffd]0;title\ufffdb\ufffd31mc\ufffdd\ufffde\ufffd\ufffd"
    assert clean("창고\t관리\r\n시스템 — “WMS”\n") == "창고\t관리\n시스템 — “WMS”\n"


@pytest.mark.parametrize("indent", [None, 2])
def test_json_loses_nothing_and_is_as_safe(indent: int | None) -> None:
    text = as_json({"text": HOSTILE + "창고"}, indent=indent)
    assert clean(text) == text
    assert json.loads(text) == {"text": HOSTILE + "창고"}
    assert "창고" in text


def test_figures_are_short() -> None:
    assert [amount(n, "rows") for n in (0, 1, 9_999, 10_000, 999_949, 999_950, 8_123_456)] == [
        "0 rows",
        "1 row",
        "9,999 rows",
        "10.0 k rows",
        "999.9 k rows",
        "1.0 M rows",
        "8.1 M rows",
    ]
    assert [clock(s) for s in (0, 59.94, 187, 7387)] == ["0.0 s", "59.9 s", "3:07", "2:03:07"]
