"""An export that is killed, with SIGKILL, in the middle of its job: the same command ends with the same model."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from wmsforge_export.made import MARKER, digest
from wmsforge_export.merge import Merge

OPTIONS = {"parity": {"kl": 1, "perplexity_ratio": 2, "prompts": 1, "answers": 0, "max_tokens": 4}}
EXPORT = """
import asyncio, json, os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from conftest import ExportContext
from wmsforge.records import Artifact
from wmsforge_export.merge import Merge
trained, folder, kill_at = Artifact.model_validate_json(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
context = ExportContext(folder, step="merged")
def die():
    (folder / "model.new" / "half").write_bytes(b"half of a shard")
    os.kill(os.getpid(), signal.SIGKILL)
if kill_at == "layers":
    context.running.report.progress = lambda done, total, unit: done == 7 and die()
elif kill_at == "saving":
    import wmsforge_export.jobs.merge as job
    kept = job.save
    job.save = lambda model, tokenizer, out: (kept(model, tokenizer, out), die())
asyncio.run(Merge(Merge.Options(**json.loads(sys.argv[5])), context).export(trained))
"""


@pytest.mark.parametrize("kill_at", ["layers", pytest.param("saving", marks=pytest.mark.slow)])
async def test_a_killed_export_ends_with_the_same_artifact(kill_at, trained, context, tmp_path):
    whole = await Merge(Merge.Options(**OPTIONS), context).export(trained)
    context.folder = tmp_path / "killed"
    arguments = [
        str(Path(__file__).parent),
        trained.model_dump_json(),
        str(context.folder),
        kill_at,
        json.dumps(OPTIONS),
    ]
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", EXPORT, *arguments)
    assert await killed.wait() == -signal.SIGKILL
    left = {path.name for path in context.folder.rglob("*")}
    assert "half" in left
    assert "model" not in left
    again = await Merge(Merge.Options(**OPTIONS), context).export(trained)
    assert digest(Path(again.path)) == digest(Path(whole.path))
    files = [{path.name for path in Path(model.path).rglob("*")} for model in (whole, again)]  # noqa: ASYNC240
    assert files[0] == files[1] >= {MARKER, "model.safetensors"}
    assert "model.new" not in {path.name for path in context.folder.iterdir()}
