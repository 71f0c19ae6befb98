"""The price table: what a model costs on which day."""

from datetime import date

from wmsforge.prices import Price, Table, bundled_table


def test_an_announced_change_holds_from_its_day_on() -> None:
    table = Table.model_validate(
        {
            "as_of": "2026-10-07",
            "models": {"m": {"input": 1, "output": 2}, "other": 0},
            "changes": {"2027-01-01": {"m": {"input": 2, "output": 4}}, "2028-01-01": {"m": 0}},
        }
    )
    days = [date(2026, 12, 31), date(2027, 1, 1), date(2028, 6, 1)]
    assert [table.price("m", day) for day in days] == [
        Price(input=1, output=2), Price(input=2, output=4), Price(input=0, output=0),
    ]  # fmt: skip
    assert table.price("other", days[1]) == Price(input=0, output=0)
    assert table.price("unknown", days[0]) is None


def test_the_table_knows_that_gemini_3_8_flash_gets_dearer() -> None:
    prices = [bundled_table().price("gemini-3.8-flash", day) for day in (date(2026, 12, 31), date(2027, 1, 1))]
    assert prices[0] is not None and prices[1] is not None
    assert prices[1].output == 2 * prices[0].output
