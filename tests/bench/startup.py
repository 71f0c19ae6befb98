"""How long `wmsforge --help` takes in a fresh process, beside a bare Python.

    python tests/bench/startup.py

Prints a table of medians of nine runs, then one JSON object as the last line.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

RUNS = 9
COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "wmsforge --help": [sys.executable, "-m", "wmsforge", "--help"],
    "wmsforge --version": [sys.executable, "-m", "wmsforge", "--version"],
    "wmsforge plugins": [sys.executable, "-m", "wmsforge", "plugins"],
}


def median_ms(command: list[str]) -> float:
    """Return the median wall time of RUNS fresh processes, in milliseconds; one run first warms the caches."""
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times[1:])


def main() -> None:
    figures = {name: median_ms(command) for name, command in COMMANDS.items()}
    for name, figure in figures.items():
        print(f"{name:22}{figure:8.0f} ms")
    print(json.dumps({name: round(figure, 1) for name, figure in figures.items()}))


if __name__ == "__main__":
    main()
