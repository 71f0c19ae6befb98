"""Reading a dataset's rows, whichever exporter wrote it."""

from __future__ import annotations

import json
from pathlib import Path

from wmsforge.errors import StepError
from wmsforge.records import Artifact


def dataset_rows(dataset: Artifact) -> list[str]:
    """Return the rows of a dataset file as text: items of a JSON list, else lines that are not blank.

    Raises:
        StepError: If the file is missing or no dataset.
    """
    try:
        text = Path(dataset.path).read_text(encoding="utf-8")
        if dataset.path.endswith(".json"):
            return [json.dumps(row, ensure_ascii=False) for row in json.loads(text)]
    except (OSError, ValueError) as error:
        raise StepError(
            f"The dataset {dataset.path!r} cannot be read: {error}.\nRun the step that makes it first."
        ) from error
    return [line for line in text.splitlines() if line.strip()]
