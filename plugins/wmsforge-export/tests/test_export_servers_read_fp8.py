"""The FP8 checkpoint's configuration, read by the compressed-tensors versions that SGLang and vLLM pin."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("llmcompressor")

from wmsforge_export.jobs.fp8 import SCHEMES, quantize

pytestmark = pytest.mark.slow

SERVERS = {"sglang 0.5.23": "0.18.0", "vllm 0.33.0": "0.17.0"}
MEANT = {"dynamic": ("channel", "token"), "block": ("block", "group"), "static": ("tensor", "tensor")}
"""What a scheme is: the strategy of weights, and of activations."""
READ = """
import importlib.metadata, json, sys
from compressed_tensors.quantization import QuantizationConfig
config = json.load(open(sys.argv[1]))["quantization_config"]
read = QuantizationConfig.model_validate(config)
group = read.config_groups["group_0"]
told = {"version": importlib.metadata.version("compressed-tensors"), "format": str(group.format or read.format),
        "weights": group.weights.strategy, "activations": group.input_activations.strategy,
        "dynamic": group.input_activations.dynamic, "ignore": read.ignore}
print(json.dumps(told))
"""


@pytest.fixture(scope="module", params=SERVERS)
def pinned(request, tmp_path_factory):
    """A folder with the wheel that a server pins, and its version."""
    version = SERVERS[request.param]
    folder = tmp_path_factory.mktemp(version)
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
    done = subprocess.run([*install, f"compressed-tensors=={version}"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"compressed-tensors {version} cannot be installed here: {done.stderr.splitlines()[-1]}")
    return folder, version


def read(folder, config):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", READ, str(config)], capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_servers_own_version_reads_the_scheme_as_it_was_meant(pinned, scheme, tiny, rows, report, tmp_path):
    folder, version = pinned
    job = {"path": str(tiny), "scheme": scheme, "ignore": ["lm_head"], "out": str(tmp_path / "out")}
    quantize({**job, "rows": str(rows), "calibration_rows": 4, "max_length": 64}, report)
    done = read(folder, tmp_path / "out" / "config.json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    weights, activations = MEANT[scheme]
    assert told == {
        "version": version,
        "format": told["format"],
        "weights": weights,
        "activations": activations,
        "dynamic": scheme != "static",
        "ignore": ["lm_head"],
    }
    assert "float-quantized" in told["format"] or "float_quantized" in told["format"]


def test_a_configuration_that_the_version_does_not_know_is_refused(pinned, tmp_path):
    folder, _ = pinned
    args = {"num_bits": 8, "type": "float", "strategy": "per-moon"}
    groups = {"group_0": {"targets": ["Linear"], "weights": args}}
    config = {"quant_method": "compressed-tensors", "config_groups": groups}
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": config}))
    assert read(folder, tmp_path / "config.json").returncode != 0
