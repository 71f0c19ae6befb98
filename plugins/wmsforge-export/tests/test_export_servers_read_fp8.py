"""The FP8 checkpoint's configuration, read by the compressed-tensors versions that SGLang and vLLM pin."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("llmcompressor")

from wmsforge_export import servers
from wmsforge_export.jobs.fp8 import SCHEMES, quantize

pytestmark = pytest.mark.slow

SERVERS = {f"{server.name} {server.version}": server.compressed_tensors for server in servers.SERVERS}
MEANT = {"dynamic": ("channel", "token"), "block": ("block", "group"), "static": ("tensor", "tensor")}
"""What a scheme is: the strategy of weights, and of activations."""
READ = """
import importlib.metadata, json, sys
from pydantic import ValidationError
from compressed_tensors.quantization import QuantizationConfig
told = {"version": importlib.metadata.version("compressed-tensors")}
for name, path in zip(sys.argv[1::2], sys.argv[2::2]):
    try:
        read = QuantizationConfig.model_validate(json.load(open(path))["quantization_config"])
    except ValidationError:
        told[name] = "refused"
        continue
    group = read.config_groups["group_0"]
    strategies = [group.weights.strategy, group.input_activations.strategy]
    told[name] = [*strategies, group.input_activations.dynamic, str(group.format or read.format), read.ignore]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def configs(tiny, rows, tmp_path_factory):
    """The configuration of a checkpoint of each scheme, and one that no version knows."""
    made = {}
    for scheme in SCHEMES:
        out = tmp_path_factory.mktemp(scheme)
        job = {"path": str(tiny), "scheme": scheme, "ignore": ["lm_head"], "out": str(out)}
        quantize({**job, "rows": str(rows), "calibration_rows": 4, "max_length": 64}, Silent())
        made[scheme] = out / "config.json"
    broken = json.loads(made["dynamic"].read_text())
    broken["quantization_config"]["config_groups"]["group_0"]["weights"]["strategy"] = "per-moon"
    made["broken"] = tmp_path_factory.mktemp("broken") / "config.json"
    made["broken"].write_text(json.dumps(broken))
    return made


class Silent:
    def note(self, text):
        """Nobody listens."""


@pytest.mark.parametrize("server", SERVERS)
def test_the_servers_own_version_reads_every_scheme_as_it_was_meant(server, configs, tmp_path):
    version = SERVERS[server]
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path)]
    done = subprocess.run([*install, f"compressed-tensors=={version}"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"compressed-tensors {version} cannot be installed here: {done.stderr.splitlines()[-1]}")
    arguments = [text for name, path in configs.items() for text in (name, str(path))]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", READ, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.pop("version") == version, "another version was imported"
    assert told.pop("broken") == "refused", "a version that accepts anything proves nothing"
    for scheme, (weights, activations, dynamic, format, ignore) in told.items():
        assert (weights, activations) == MEANT[scheme], scheme
        assert dynamic is (scheme != "static")
        assert format.rpartition(".")[2].replace("_", "-") == "float-quantized"
        assert ignore == ["lm_head"]
