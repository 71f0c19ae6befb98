"""Print the Nth bash block of a README's "Quick start" section: `quickstart_block.py README.md 1`."""

import re
import sys
from pathlib import Path


def blocks(readme: str) -> list[str]:
    """Return the bash blocks between the heading "Quick start" and the next heading of its level."""
    section = re.search(r"^## Quick start\n(.*?)(?=^## |\Z)", readme, re.M | re.S)
    if section is None:
        raise SystemExit("the README has no section '## Quick start'")
    found = re.findall(r"^```bash\n(.*?)^```", section.group(1), re.M | re.S)
    if len(found) != 2:
        raise SystemExit(f"'Quick start' must have exactly two bash blocks, it has {len(found)}")
    return found


if __name__ == "__main__":
    print(blocks(Path(sys.argv[1]).read_text(encoding="utf-8"))[int(sys.argv[2]) - 1], end="")
