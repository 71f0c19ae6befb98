"""An export that is killed, with SIGKILL, in the middle of its job: the same command ends with the same model."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from wmsforge_export.made import MARKER, digest

EXPORT = """
import asyncio, json, os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from conftest import ExportContext
from wmsforge.records import Artifact
from wmsforge_export.merge import Merge
trained, folder, kill_at = Artifact.model_validate_json(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
context = ExportContext(folder, step="merged")
def die(*args, **kwargs):
    (folder / "model.new" / "half").write_bytes(b"half of a shard")
    os.kill(os.getpid(), signal.SIGKILL)
if kill_at == "layers":
    context.running.report.progress = lambda done, total, unit, **facts: die() if (done, unit) == (7, "layers") else None
elif kill_at == "saving":
    import wmsforge_export.jobs.merge as job
    kept = job.save
    job.save = lambda model, tokenizer, out: (kept(model, tokenizer, out), die())
parity = {"kl": 1, "perplexity_ratio": 2, "prompts": 1, "answers": 0, "max_tokens": 4}
model = asyncio.run(Merge(Merge.Options(parity=parity), context).export(trained))
print(model.model_dump_json())
"""


def export(trained, folder, kill_at):
    command = [
        sys.executable,
        "-c",
        EXPORT,
        str(Path(__file__).parent),
        trained.model_dump_json(),
        str(folder),
        kill_at,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kill_at", ["layers", "saving"])
def test_killed_export_ends_with_the_same_artifact(kill_at, trained, tmp_path):
    whole = export(trained, tmp_path / "whole", "never")
    assert whole.returncode == 0, whole.stderr
    killed = export(trained, tmp_path / "killed", kill_at)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "model").exists()
    assert (tmp_path / "killed" / "model.new" / "half").exists()
    again = export(trained, tmp_path / "killed", "never")
    assert again.returncode == 0, again.stderr
    models = [Path(json.loads(done.stdout.splitlines()[-1])["path"]) for done in (whole, again)]
    assert digest(models[0]) == digest(models[1])
    assert sorted(file.name for file in models[0].iterdir()) == sorted(file.name for file in models[1].iterdir())
    assert (models[1] / MARKER).is_file()
    assert not (tmp_path / "killed" / "model.new").exists()
