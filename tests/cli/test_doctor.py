"""`wmsforge doctor`: what it looks at, what it says, and its exit code."""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from cli_project import Project

from wmsforge.doctor.disk import GB, check_disk
from wmsforge.doctor.gpu import look_for_gpus
from wmsforge.doctor.python import check_python
from wmsforge.env.locks import Lock, read_pins
from wmsforge.recipe.environments_used import UsedEnvironment
from wmsforge.steps.machine import Finding, Gpu, Machine

CLICK = importlib.metadata.version("click")
CUDA = ("--set", "steps.adapter.env=cuda", "--no-resolve")


def doctor(project: Project, *arguments: str, code: int = 0) -> str:
    return project.run("doctor", "recipe.yaml", *arguments, code=code)[0]


def locks(project: Project) -> Path:
    return project.folder.parent / "plugin/doctor_locks/locks"


def make_wheel(project: Project) -> None:
    """The wheel `tinydep 1.0`, where pip looks."""
    info = "tinydep-1.0.dist-info"
    with zipfile.ZipFile(project.folder.parent / "wheels/tinydep-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinydep\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def make_program(project: Project, name: str, text: str) -> Path:
    path = project.folder.parent / "bin" / name
    path.write_text(f"#!{sys.executable}\nimport sys\n{text}", encoding="utf-8")
    path.chmod(0o755)
    return path


def make_pip(project: Project, version: str, says: str) -> None:
    """A pip that tells its version, and fails at everything else; `python -m pip` takes it from the current folder."""
    package = project.folder / "pip"
    package.mkdir(parents=True)
    tell = f"print('pip {version} from nowhere') if '--version' in sys.argv else sys.exit({says!r})"
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(f"import sys\n{tell}\n", encoding="utf-8")


def make_gpu(project: Project, driver: str, capability: str = "9.0") -> None:
    make_program(project, "nvidia-smi", f"print('NVIDIA H100 80GB HBM3, 81559, {driver}, {capability}')")


def make_built(project: Project, pins: str) -> None:
    """A ready environment for this lock, which is the Python of the tests."""
    path = locks(project) / "cpu.txt"
    path.write_text(pins, encoding="utf-8")
    folder = project.folder.parent / f"home/envs/heavy-{Lock(path, read_pins(path)).digest}"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    (folder / "bin/python").chmod(0o755)
    (folder / "wmsforge.json").touch()


def test_all_is_well_when_the_index_has_what_the_lock_pins_and_nothing_is_written(resolving: Project) -> None:
    make_wheel(resolving)
    before = sorted(resolving.folder.parent.rglob("*"))
    out, err = resolving.run("doctor", "recipe.yaml")
    assert "asking the package index for heavy: metadata only" in err
    assert "recipe\n  ok       recipe.yaml is valid, and all its plugins are there\n" in out
    assert "  ok       heavy (cpu, doctor-test-plugin) for adapter: to be built by the run, and the index" in out
    assert "disk\n  ok " in out and "1 to be built takes about 2 GB" in out
    assert "GPU\n  ok       there is no NVIDIA GPU here; no step asks for one\n" in out
    assert "step adapter\n  warning  it sees 0 GPUs\n           Bring more.\n" in out
    assert out.endswith("recipe.yaml can run here, 1 warning.\n")
    assert [path for path in sorted(resolving.folder.parent.rglob("*")) if "__pycache__" not in str(path)] == before


def test_a_lock_that_does_not_resolve_is_an_error_with_pips_words(resolving: Project) -> None:
    (locks(resolving) / "cpu.txt").write_text("no-such-package==1.0\n", encoding="utf-8")
    out = doctor(resolving, code=3)
    assert "  error    heavy (cpu, doctor-test-plugin) for adapter: to be built by the run, and its lock " in out
    assert "No matching distribution found for no-such-package==1.0" in out
    assert "wmsforge env bundle heavy FOLDER" in out
    assert out.endswith("recipe.yaml cannot run here: 1 error, 1 warning.\n")
    assert doctor(resolving, "--no-resolve").endswith("recipe.yaml can run here, 1 warning.\n")


def test_a_constraint_of_this_machine_that_contradicts_the_lock_is_shown(resolving: Project) -> None:
    make_wheel(resolving)
    constraint = resolving.folder / "constraints.txt"
    constraint.write_text("tinydep<1\n", encoding="utf-8")
    resolving.environment["PIP_CONSTRAINT"] = str(constraint)
    requests = "The user requested tinydep==1.0 The user requested (constraint) tinydep<1 "
    assert f"its lock does not resolve: {requests}ERROR: Cannot install tinydep==1.0 " in doctor(resolving, code=3)


def test_a_password_in_an_indexs_address_is_not_shown(heavy: Project) -> None:
    make_pip(heavy, "26.0", "ERROR: http://me:geheim@index.test/simple does not answer")
    out, err = heavy.run("doctor", "recipe.yaml", code=3)
    assert "its lock does not resolve: ERROR: http://***@index.test/simple does not answer\n" in out
    assert "geheim" not in out + err


def test_an_old_pip_without_a_newer_one_to_be_had_is_a_warning(heavy: Project) -> None:
    make_pip(heavy, "23.2.1", "ERROR: No matching distribution found for pip>=25.3")
    out = doctor(heavy)
    assert "  warning  heavy (cpu, doctor-test-plugin) for adapter: to be built by the run; the index" in out
    assert (
        "was not asked: pip 23.2 would download every package to tell, and a newer one is not to be had: ERROR: " in out
    )
    assert "           python -m pip install --upgrade pip\n" in out


def test_every_variable_and_every_input_that_is_missing_is_named_and_the_rest_is_looked_at(heavy: Project) -> None:
    text = (heavy.folder / "recipe.yaml").read_text("utf-8").replace("calls_log: calls.log", "calls_log: '${LOG}'")
    more = "  bank: {use: question-bank, path: no-bank.csv}\n  more: {use: question-bank, path: no-more.csv}\n"
    (heavy.folder / "recipe.yaml").write_text(text + more, encoding="utf-8")
    out = doctor(heavy, "--no-resolve", code=3)
    assert "models.expert.calls_log: the environment variable LOG is not set. Set it: export LOG=..." in out
    assert "  warning  the inputs of step 'answers' were not looked at\n" in out
    assert "no-bank.csv" in out and "no-more.csv" in out and "heavy (cpu, " in out
    heavy.environment["LOG"] = "geheim.log"
    out = doctor(heavy, "--no-resolve", code=3)
    assert "  ok       these variables are set: LOG\n" in out
    assert "no-bank.csv" in out and "no-more.csv" in out
    assert "geheim" not in out


def test_a_recipe_that_is_wrong_is_an_error_and_says_what_was_not_looked_at(heavy: Project) -> None:
    out = doctor(heavy, "--set", "steps.questions.count=many", code=3)
    assert "  error    recipe.yaml  --set steps.questions.count: must be an integer, got 'many'.\n" in out
    assert "inputs, environments, disk and GPU were not looked at" in out
    assert doctor(heavy, "--set", "steps.adapter.use=nothing", code=3).count("no component is called 'nothing'") == 1


def test_cuda_without_a_gpu_is_an_error_and_so_is_a_driver_that_is_too_old(heavy: Project) -> None:
    out = doctor(heavy, *CUDA, code=3)
    assert "  error    step 'adapter' asks for cuda, and there is no NVIDIA GPU here\n" in out
    assert "--set steps.adapter.env=cpu\n" in out
    make_gpu(heavy, "550.54.15")
    out = doctor(heavy, *CUDA, code=3)
    assert "  ok       NVIDIA H100 80GB HBM3, 80 GiB, driver 550.54.15, compute capability 9.0\n" in out
    assert "the driver 550.54.15 is too old for CUDA 13 of heavy, which needs 580\n" in out
    make_gpu(heavy, "580.65.06")
    out = doctor(heavy, *CUDA)
    assert "it sees 1 GPUs" in out and "1 to be built takes about 8 GB" in out


def test_a_driver_that_knows_no_compute_capability_still_tells_the_rest(
    heavy: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = "if 'compute_cap' in sys.argv[1]: sys.exit('Field \"compute_cap\" is not a valid field to query.')\n"
    make_program(heavy, "nvidia-smi", refuse + "print('Tesla T4, 15360, 440.33\\nGB10, [N/A], 580.65.06')")
    monkeypatch.setenv("PATH", heavy.environment["PATH"])
    gpus = (Gpu("Tesla T4", 15.0, "440.33", None), Gpu("GB10", None, "580.65.06", None))
    assert look_for_gpus() == (Machine(gpus), "")


def test_an_nvidia_smi_that_fails_is_told_in_its_own_words(heavy: Project) -> None:
    make_program(heavy, "nvidia-smi", "sys.exit('NVIDIA-SMI has failed because\\nit could not talk to the driver.')")
    failed = "nvidia-smi fails: NVIDIA-SMI has failed because it could not talk to the driver."
    assert f"  error    step 'adapter' asks for cuda, and {failed}" in doctor(heavy, *CUDA, code=3)
    assert f"  warning  {failed}; no step asks for one\n" in doctor(heavy, "--no-resolve")


def test_a_python_of_the_users_own_must_be_there_run_and_be_new_enough(heavy: Project) -> None:
    lock = Lock(locks(heavy) / "cpu.txt", {"tinydep": "1.0", "nvidia-cudnn-cu13": "9.20.0.48"})

    def told(python: Path) -> Finding:
        (finding,) = check_python(python, "env", lock)
        return finding

    missing = told(Path("/no/such"))
    assert (missing.level, missing.what) == ("error", "env: there is no file '/no/such'") and missing.remedy
    assert "does not run as a Python" in told(make_program(heavy, "broken", "sys.exit(7)")).what
    old = make_program(heavy, "old", "print('[[3, 10, 4], []]')")
    assert told(old).what.endswith("is Python 3.10.4, and a job needs 3.11 or newer")
    ours = told(Path(sys.executable))
    assert ours.level == "warning" and ours.what.endswith("lacks packages that the lock pins: tinydep")
    assert ours.remedy.endswith(f"-m pip install -r {lock.path}")
    out = doctor(heavy, "--set", "steps.adapter.env={python: /no/such}", code=3)
    assert "  error    heavy for adapter, env: {python: /no/such}: there is no file '/no/such'\n" in out
    (locks(heavy) / "cpu.txt").write_text(f"click=={CLICK}\n", encoding="utf-8")
    assert "  ok       heavy for adapter, env: current: " in doctor(heavy, "--set", "steps.adapter.env=current")


def test_a_built_environment_is_compared_with_its_lock(heavy: Project) -> None:
    make_built(heavy, f"click=={CLICK}\n")
    out = doctor(heavy)
    assert "for adapter: built, as its lock says\n" in out and "to be built take" not in out
    make_built(heavy, "click==0.1\n")
    out = doctor(heavy, code=3)
    assert f"is not as its lock says: click {CLICK} instead of 0.1\n" in out
    assert "wmsforge env remove heavy && wmsforge env build heavy --for cpu\n" in out


def test_an_environment_that_nobody_offers_or_without_a_lock_for_this_machine_is_an_error(heavy: Project) -> None:
    out = doctor(heavy, "--set", "steps.adapter.use=homeless", code=3)
    assert "  error    adapter: No environment is called 'nowhere'.\n           List them: wmsforge env list\n" in out
    (locks(heavy) / "cpu.txt").unlink()
    assert "has no lock for cpu; it has cuda.\n" in doctor(heavy, code=3)


def test_a_component_that_breaks_is_named_and_the_rest_is_shown(heavy: Project) -> None:
    out = doctor(heavy, "--set", "steps.adapter.use=faulty", "--no-resolve", code=3)
    assert "  error    'faulty' failed to say what it needs: ZeroDivisionError: a fault\n" in out
    assert "report it to its plugin, doctor-test-plugin." in out
    silent = ("--set", "steps.adapter.use=silent")
    fault = "'silent' failed to say which environments it needs: ZeroDivisionError: a fault.\n"
    assert fault in doctor(heavy, *silent, code=3)
    assert fault in heavy.run("plan", "recipe.yaml", *silent, code=4)[1]


def test_steps_that_are_done_need_nothing(heavy: Project) -> None:
    heavy.run("run", "recipe.yaml")
    out = doctor(heavy, code=0)
    assert "  ok       7 of 7 steps are done; what they need is not looked at\n" in out
    assert "environments\n  ok       no step needs one\n" in out and "step adapter" not in out
    assert "environment" not in heavy.run("plan", "recipe.yaml")[0]


def test_json_has_the_findings_and_the_environments(heavy: Project) -> None:
    told = heavy.json("doctor", "recipe.yaml", "--json", "--no-resolve")
    assert (told["can_run"], told["errors"], told["warnings"]) == (True, 0, 1)
    assert told["findings"][-1] == {
        "subject": "step adapter",
        "level": "warning",
        "what": "it sees 0 GPUs",
        "remedy": "Bring more.",
    }
    assert told["environments"] == [{"name": "heavy", "for": "cpu", "state": "to be built", "steps": ["adapter"]}]


def test_plan_shows_the_environments_of_steps_that_would_run(heavy: Project) -> None:
    out, _ = heavy.run("plan", "recipe.yaml")
    assert "\nenvironment  for  state        steps\nheavy        cpu  to be built  adapter\n" in out
    steps = {step["id"]: step["environments"] for step in heavy.json("plan", "recipe.yaml", "--json")["steps"]}
    assert steps["adapter"] == [{"name": "heavy", "for": "cpu", "state": "to be built"}]
    assert steps["dataset"] == []
    make_built(heavy, f"click=={CLICK}\n")
    assert "heavy        cpu  built  adapter\n" in heavy.run("plan", "recipe.yaml")[0]
    (locks(heavy) / "cpu.txt").unlink()
    assert "has no lock for cpu; it has cuda." in heavy.run("plan", "recipe.yaml")[0]


@pytest.mark.parametrize(("free", "levels"), [(1, ["error", "warning"]), (4, ["ok", "warning"]), (99, ["ok", "ok"])])
def test_a_disk_without_room_for_the_environments_is_an_error(
    free: int, levels: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WMSFORGE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100 * GB, 0, free * GB))
    used = []
    for name in ("a", "b"):
        path = tmp_path / name / "cpu.txt"
        path.parent.mkdir()
        path.write_text(f"{name}==1\n", encoding="utf-8")
        used.append(UsedEnvironment(name, "cpu", (name,), lock=Lock(path, {name: "1"})))
    findings = list(check_disk(used, tmp_path / ".wmsforge"))
    assert [finding.level for finding in findings] == levels
    assert (
        f"{free}.0 GB are free for {tmp_path}/home/envs; 2 environments to be built take about 4 GB" in findings[0].what
    )
    assert ("WMSFORGE_HOME" in findings[0].remedy) == (levels[0] == "error")
