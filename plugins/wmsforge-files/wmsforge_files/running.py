"""Takes running heads and feet off the pages: the first or last lines that count them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from wmsforge_files.lines import Line

_NUMBER = re.compile(r"\d{1,4}")
_FEWEST_PAGES = 3


def without_page_numbers(pages: Sequence[Sequence[Line]]) -> list[Sequence[Line]]:
    """Return the pages without a first and a last line that say the same on most of them but for the page's number.

    A line that repeats without counting stays: it may name a table's columns.
    """
    shown = list(pages)
    for edge in (0, -1):
        alike: defaultdict[tuple[str, int, int], list[int]] = defaultdict(list)
        for number, lines in enumerate(shown):
            if lines:
                text = lines[edge].text.strip()
                for nth, value in enumerate(_NUMBER.findall(text)):
                    alike[_NUMBER.sub("#", text), nth, int(value) - number].append(number)
        fewest = max(_FEWEST_PAGES, sum(map(bool, pages)) / 2)
        for number in {number for numbers in alike.values() if len(numbers) >= fewest for number in numbers}:
            shown[number] = shown[number][1:] if edge == 0 else shown[number][:-1]
    return shown
