"""What `fp8` says before a run: which servers read its scheme, and what they do with it on the GPU here."""

from pathlib import Path
from typing import get_args

import pytest
from wmsforge_export.fp8 import Fp8
from wmsforge_export.gguf import Gguf
from wmsforge_export.hub import Hub
from wmsforge_export.merge import Merge
from wmsforge_export.servers import SERVERS

from wmsforge.steps.machine import Gpu, Machine
from wmsforge.testing import LocalContext

SCHEMES = get_args(Fp8.Options.model_fields["scheme"].annotation)


def found(scheme, *capabilities):
    calibration = Path("rows.json") if scheme == "static" else None
    options = Fp8.Options(scheme=scheme, calibration=calibration)
    gpus = tuple(Gpu(f"GPU {number}", 24.0, "580.65.06", one) for number, one in enumerate(capabilities))
    return Fp8(options, LocalContext(Path(), step="small")).doctor(Machine(gpus))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_is_looked_up_for_both_servers_with_their_versions(scheme):
    (finding,) = found(scheme, (9, 0))
    assert finding.level == "ok" and f"scheme {scheme!r} is read by SGLang 0.5.23 (compressed-tensors" in finding.what
    assert "vLLM 0.33.0 (compressed-tensors 0.17.0), looked up on 2026-11-26" in finding.what
    assert [server.name for server in SERVERS if scheme not in server.computes] == []


def test_an_older_gpu_is_told_what_the_servers_do_there():
    _, ampere = found("dynamic", (8, 6))
    assert ampere.level == "warning"
    assert "GPU 0 (compute capability 8.6) SGLang and vLLM: weights in FP8, computed in 16 bits" in ampere.what
    _, slow, refused = found("block", (8, 6))
    assert "8.6) vLLM: weights" in slow.what
    assert "8.6) scheme 'block' is not loaded by SGLang" in refused.what
    assert refused.remedy == "Choose another scheme: --set steps.small.scheme=dynamic"
    _, slow, refused = found("static", (7, 5))
    assert "7.5) vLLM: weights" in slow.what and "7.5) scheme 'static' is not loaded by SGLang" in refused.what
    _, refused = found("dynamic", (7, 0))
    assert "is not loaded by SGLang and vLLM" in refused.what and refused.remedy == "Serve it on a newer GPU."


def test_a_gpu_that_tells_no_capability_is_not_judged():
    assert [finding.level for finding in found("dynamic", None)] == ["ok"]


@pytest.mark.parametrize("exporter", [Merge, Fp8, Gguf])
def test_a_served_model_whose_key_is_not_set_is_an_error(exporter, monkeypatch):
    monkeypatch.delenv("WMS_KEY", raising=False)
    served = {"url": "http://127.0.0.1:9/v1", "model": "wms", "key_variable": "WMS_KEY"}

    def said(**parity):
        component = exporter(exporter.Options(parity=parity), LocalContext(Path()))
        return [(one.what, one.remedy) for one in component.doctor(Machine()) if one.level == "error"]

    text = "parity.served reads its key from the variable WMS_KEY, which is not set"
    assert said(served=served) == [(text, "export WMS_KEY=...")]
    assert said() == said(served=served, prompts=0) == []
    monkeypatch.setenv("WMS_KEY", "geheim")
    assert said(served=served) == []


def test_an_upload_without_a_token_is_a_warning(monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)

    def levels(push):
        return [one.level for one in Hub(Hub.Options(repo="me/wms", push=push), LocalContext(Path())).doctor(Machine())]

    assert (levels(True), levels(False)) == (["warning"], [])
    monkeypatch.setenv("HF_TOKEN", "geheim")
    assert levels(True) == []
