"""Workspace: one process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from wmsforge.errors import WorkspaceBusyError
from wmsforge.store.workspace import Workspace


def test_a_second_process_is_told_who_holds_the_workspace(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from wmsforge.store.workspace import Workspace\n"
        "with Workspace(Path(sys.argv[1])).locked('wmsforge run a.yaml'):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(WorkspaceBusyError, match=rf"in use by process {holder.pid} \(wmsforge run a\.yaml\)"),
            Workspace(tmp_path).locked("second"),
        ):
            pass
        holder.kill()
    with Workspace(tmp_path).locked("after the first was killed"):
        pass


def test_runs_are_listed_oldest_first(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for run in ("20260101-000002", "20260101-000001"):
        workspace.run_folder("wms", run).mkdir(parents=True)
    assert [path.name for path in workspace.runs("wms")] == ["20260101-000001", "20260101-000002"]
    assert workspace.runs("other") == []
