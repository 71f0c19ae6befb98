"""What the chat model `transformers` knows before torch is loaded: places, identity, packages, what errors advise."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from wmsforge_solar.chat_model import SOLAR, TransformersModel
from wmsforge_solar.memory import out_of_memory, setting
from wmsforge_solar.weights import Place, locate

from wmsforge.errors import MissingDependencyError, StepError
from wmsforge.prices import FREE
from wmsforge.testing import LocalContext


def model(folder: Path, **options: Any) -> TransformersModel:
    return TransformersModel(TransformersModel.Options(**options), LocalContext(folder, step="expert"))


@pytest.mark.parametrize(
    ("name", "place"),
    [
        (SOLAR, Place("upstage/SOLAR-10.7B-Instruct-v1.0")),
        ("gpt2", Place("gpt2")),
        ("MyeongHo0621/solar-korean-wms/checkpoint-1000", Place("MyeongHo0621/solar-korean-wms", "checkpoint-1000")),
        ("someone/SOLAR-GGUF/q4/solar.gguf", Place("someone/SOLAR-GGUF", "q4/solar.gguf")),
    ],
)
def test_hub_names_may_go_on_into_the_repository(name: str, place: Place) -> None:
    assert locate(name, "model", "expert") == place
    assert place.gguf == (place.inner if name.endswith(".gguf") else "")


def test_local_places_are_folders_and_gguf_files(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    assert locate(str(tmp_path), "model", "expert") == Place(str(tmp_path), local=True)
    assert locate(str(file), "model", "expert") == Place(str(tmp_path), "m.gguf", local=True)
    (tmp_path / "m.bin").write_bytes(b"")
    with pytest.raises(StepError, match=r"Model 'expert': option 'model' names '.*m\.bin', which is no GGUF file\.\n"):
        locate(str(tmp_path / "m.bin"), "model", "expert")
    with pytest.raises(StepError, match=r"option 'adapter' names '.*gone', which does not exist\."):
        locate(str(tmp_path / "gone"), "adapter", "expert")


def test_identity_is_what_weights_hold_and_not_where_they_are(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"x" * 5_000_000 + b"end")
    same = model(tmp_path, model=str(first)).identity()
    assert model(tmp_path, model=str(second), concurrency=2, device="cpu").identity() == same
    (first / "optimizer.bin").write_bytes(b"of no matter")
    assert model(tmp_path, model=str(first)).identity() == same
    (second / "model.safetensors").write_bytes(b"x" * 5_000_000 + b"END")
    assert model(tmp_path, model=str(second)).identity() != same
    assert model(tmp_path, model=str(first), quantization="nf4").identity() != same
    assert model(tmp_path, model=str(first), dtype="float16").identity() != same
    assert model(tmp_path, model=str(first), adapter=str(second)).identity() != same


def test_identity_of_hub_weights_is_their_name_and_revision(tmp_path: Path) -> None:
    assert model(tmp_path).identity()["model"] == {"hub": SOLAR, "revision": ""}
    tuned = model(tmp_path, revision="abc", adapter="a/b/checkpoint-1000", adapter_revision="v2").identity()
    assert tuned["model"] == {"hub": SOLAR, "revision": "abc"}
    assert tuned["adapter"] == {"hub": "a/b/checkpoint-1000", "revision": "v2"}


def test_a_template_file_counts_by_its_text(tmp_path: Path) -> None:
    path = tmp_path / "t.jinja"
    path.write_text("one", encoding="utf-8")
    one = model(tmp_path, chat_template=str(path)).identity()["chat_template"]
    path.write_text("two", encoding="utf-8")
    assert model(tmp_path, chat_template=str(path)).identity()["chat_template"] != one
    assert model(tmp_path, chat_template="solar").identity()["chat_template"] == "solar"


def test_it_costs_nothing_and_fills_its_batches(tmp_path: Path) -> None:
    assert model(tmp_path).price() == FREE
    assert TransformersModel.fixed_concurrency


@pytest.mark.parametrize(
    ("options", "package"),
    [
        ({}, "torch"),
        ({}, "transformers"),
        ({"adapter": "a/b"}, "peft"),
        ({"quantization": "nf4"}, "bitsandbytes"),
        ({"model": "a/b/m.gguf"}, "gguf"),
    ],
)
async def test_a_missing_package_names_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], package: str
) -> None:
    found = importlib.util.find_spec
    there = found("pydantic")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else there)
    with pytest.raises(MissingDependencyError) as caught:
        await model(tmp_path, **options).open()
    assert str(caught.value) == (
        f"chat_model 'transformers' needs the package {package!r}, which is not installed.\n"
        "Install it: pip install 'wmsforge-solar[generate]'"
    )


def test_settings_are_named_as_the_command_line_takes_them() -> None:
    assert setting("expert") == "models.expert"
    assert setting("answers.model-transformers") == "steps.answers.model"


def test_out_of_memory_advises_only_what_would_help() -> None:
    loading = str(out_of_memory("expert", SOLAR, "while loading on cuda:0", quantized=True))
    assert loading == (
        f"Model 'expert' ({SOLAR}): out of memory while loading on cuda:0.\n"
        "Change one of these: a smaller model: --set models.expert.model=..."
    )
    alone = str(out_of_memory("expert", SOLAR, "on cuda:0", at_once=1, quantized=False))
    assert "concurrency" not in alone
    assert "quantization=nf4" in alone


@pytest.mark.parametrize("options", [{"quantization": "int8"}, {"dtype": "fp8"}, {"top_p": 0}, {"model": ""}])
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TransformersModel.Options(**options)
