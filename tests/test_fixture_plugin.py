"""A stranger's plugin: installed with pip, found by its entry point, and working on its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest

from wmsforge.errors import RecordError, StepError
from wmsforge.options import Ref
from wmsforge.records import Artifact, Document, Question
from wmsforge.steps.chat_model import ChatRequest, Message
from wmsforge.steps.exporter import Origin
from wmsforge.testing import LocalContext

sys.path.append(str(Path(__file__).parent / "fixture_plugin"))  # its modules alone: without its entry point
from wmsforge_fixture.answers import FirstPassage
from wmsforge_fixture.chat_model import Parrot
from wmsforge_fixture.embedder import HashingEmbedder
from wmsforge_fixture.evaluator import RowCounter
from wmsforge_fixture.exporters import CopyModel, PlainText
from wmsforge_fixture.filter import ContainsFilter
from wmsforge_fixture.loader import LinesLoader
from wmsforge_fixture.questions import EchoQuestions
from wmsforge_fixture.retriever import KeywordRetriever
from wmsforge_fixture.server import StaticServer
from wmsforge_fixture.trainer import CountTrainer

OFFERED = {
    ("loader", "lines"),
    ("retriever", "keyword"),
    ("embedder", "hashing"),
    ("question_generator", "echo-questions"),
    ("answer_generator", "first-passage"),
    ("filter", "contains"),
    ("trainer", "count-trainer"),
    ("trainer", "isolated-trainer"),
    ("exporter", "copy-model"),
    ("exporter", "plain-text"),
    ("server", "static-server"),
    ("chat_model", "parrot"),
    ("evaluator", "row-counter"),
}
LINES = "배치 피킹은 여러 주문을 한 번에 집는 방식입니다.\n\n순환 재고 실사는 매일 일부 로케이션을 세는 방식입니다.\n"


def run_with_plugin(path: Path, code: str, **environment: str) -> Any:
    """Run Python code that prints JSON, with the plugin installed."""
    env = {**os.environ, "PYTHONPATH": str(path), **environment}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_installed_plugin_offers_a_component_of_every_kind_that_loads(fixture_plugin_path):
    code = """
import json, sys
from wmsforge.plugins import load_plugins
from wmsforge.registry import Registry
host = load_plugins()
early = sorted({"numpy", "http.server", "wmsforge_fixture.server"} & set(sys.modules))
offers = [offer for offer in host.registry.offers if offer.plugin == "wmsforge-fixture"]
loaded = [[offer.kind, offer.name, host.registry.load(offer).__module__.split(".")[0]] for offer in offers]
[plugin] = [plugin for plugin in host.plugins if plugin.name == "wmsforge-fixture"]
print(json.dumps([early, loaded, [plugin.status, plugin.version], Registry.kinds]))
"""
    early, loaded, plugin, kinds = run_with_plugin(fixture_plugin_path, code)
    assert early == []
    assert {(kind, name) for kind, name, _ in loaded} == OFFERED
    assert {module for *_, module in loaded} == {"wmsforge_fixture"}
    assert {kind for kind, _ in OFFERED} == set(kinds)
    assert plugin == ["loaded", "0.1.0"]


def test_the_plugin_is_not_installed_for_other_tests():
    from wmsforge.plugins import load_plugins

    assert "wmsforge-fixture" not in [plugin.name for plugin in load_plugins().plugins]


def test_the_disabled_plugin_is_not_imported(fixture_plugin_path):
    code = """
import json, sys
from wmsforge.plugins import load_plugins
host = load_plugins(disabled=["wmsforge-fixture"])
print(json.dumps(["wmsforge_fixture" in sys.modules, sorted(offer.name for offer in host.registry.disabled)]))
"""
    imported, names = run_with_plugin(fixture_plugin_path, code)
    assert not imported
    assert names == sorted(name for _, name in OFFERED)


def test_its_observer_hooks_write_what_they_see(fixture_plugin_path, tmp_path):
    log = tmp_path / "seen.jsonl"
    code = """
from wmsforge.plugins import load_plugins
hook = load_plugins().hook
hook.step_started(step="answers", component="answer_generator/rag")
hook.call_finished(step="answers", model="parrot", seconds=0.5, usage={"prompt_tokens": 3}, reused=False)
hook.record_rejected(step="answers", record_id="ab", reason="no_passage", detail="없음")
hook.step_finished(step="answers", manifest={"out": 1})
print("null")
"""
    run_with_plugin(fixture_plugin_path, code, WMSFORGE_FIXTURE_LOG=str(log))
    seen = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [event["hook"] for event in seen] == ["step_started", "call_finished", "record_rejected", "step_finished"]
    assert seen[2] == {
        "hook": "record_rejected", "step": "answers", "record_id": "ab", "reason": "no_passage", "detail": "없음"
    }  # fmt: skip


async def test_from_lines_to_a_trained_copy_that_is_served(tmp_path):
    """The components in the order of a recipe, each fed with what the one before it made."""
    source = tmp_path / "notes.txt"
    source.write_text(LINES, encoding="utf-8")

    def context(step: str, **resources: Any) -> LocalContext:
        return LocalContext(tmp_path / step, resources, step=step)

    loader = LinesLoader(LinesLoader.Options(path=source), context("documents"))
    documents = [document for path in loader.sources() for document in loader.load(path)]
    assert [document.row for document in documents] == [1, 3]
    assert list(loader.inputs()) == [source]

    retriever = KeywordRetriever(KeywordRetriever.Options(), context("index"))
    index = await retriever.build(documents)
    assert (index.kind, index.facts) == ("index", {"passages": 2})

    asker = EchoQuestions(EchoQuestions.Options(words=3), context("questions"))
    questions = [question for _, task in asker.tasks(documents) async for question in asker.generate(task)]
    assert questions[1].text == "‘순환 재고 실사는’ 부분의 핵심은 무엇인가요?"
    assert questions[1].origin == "notes.txt:3"

    ref = Ref("retriever", name="index")
    answerer = FirstPassage(FirstPassage.Options(retriever=ref, top_k=1), context("answers", index=retriever))
    await answerer.open()
    answers = [await answerer.answer(question) for question in questions]
    assert [answer.text for answer in answers] == [document.text for document in documents]
    with pytest.raises(RecordError, match="no_passage"):
        await answerer.answer(Question(id="0" * 16, text="xyz"))

    keep = ContainsFilter(ContainsFilter.Options(text="재고"), context("kept"))
    verdicts = [keep.check(answer) for answer in answers]
    assert [(verdict.keep, verdict.reason) for verdict in verdicts] == [(False, "lacks_text"), (True, "")]

    origin = Origin(recipe="tiny", fingerprint="f" * 16, run="1")
    exporter = PlainText(PlainText.Options(path=tmp_path / "out/rows.txt"), context("dataset"))
    dataset = exporter.export(answers, origin)
    assert dataset.facts == {"rows": 2, "recipe": "tiny"}
    assert (
        (tmp_path / "out/rows.txt").read_text(encoding="utf-8").startswith(f"{questions[0].text}\t{answers[0].text}\n")
    )

    report = await RowCounter(RowCounter.Options(), context("report")).evaluate(dataset)
    assert (report.kind, report.facts["rows"]) == ("report", 2)

    adapter = await CountTrainer(CountTrainer.Options(epochs=2), context("adapter")).train(dataset)
    assert (adapter.kind, adapter.facts["rows"]) == ("adapter", 2)
    assert json.loads((Path(adapter.path) / "adapter.json").read_text(encoding="utf-8"))["재고"] == 4

    exported = CopyModel(CopyModel.Options(), context("merged"))
    model = await exported.export(adapter)
    assert model == await exported.export(adapter)
    assert (Path(model.path) / "adapter.json").read_bytes() == (Path(adapter.path) / "adapter.json").read_bytes()

    server = StaticServer(StaticServer.Options(), context("server"))
    endpoint = await server.start(model)
    get = build_opener(ProxyHandler({})).open
    with get(endpoint.url) as reply:
        assert Artifact.model_validate_json(reply.read()) == model
    await server.stop()
    with pytest.raises(OSError, match="refused"):
        get(endpoint.url)


async def test_the_keyword_index_is_reused_by_a_later_process_and_a_torn_one_is_told(tmp_path):
    text = "입고 절차\n는 이렇다.\n\n  \n출고 절차는 저렇다."
    document = Document(id="d" * 16, text=text, path="a.txt", sha256="0" * 64)
    await KeywordRetriever(KeywordRetriever.Options(), LocalContext(tmp_path)).build([document])
    later = KeywordRetriever(KeywordRetriever.Options(), LocalContext(tmp_path))
    await later.load()
    best, second = await later.search("출고 절차", top_k=5)
    assert best.passage.text == "출고 절차는 저렇다." == text[best.passage.start : best.passage.end]
    assert second.passage.text == "입고 절차\n는 이렇다." and best.score == 1.0 > second.score > 0
    (tmp_path / "keyword.json").write_bytes((tmp_path / "keyword.json").read_bytes()[:-9])
    with pytest.raises(StepError, match="missing or torn"):
        await later.load()


async def test_hashed_vectors_are_of_unit_length_and_near_for_similar_texts(tmp_path):
    embedder = HashingEmbedder(HashingEmbedder.Options(dimension=512), LocalContext(tmp_path))
    vectors = await embedder.embed_passages(["재고 실사를 합니다", "재고 실사를 했습니다", "오늘은 비가 온다"])
    assert vectors.shape == (3, embedder.dimension) == (3, 512)
    assert [round(float(vector @ vector), 5) for vector in vectors] == [1, 1, 1]
    assert float(vectors[0] @ vectors[1]) > 0.5 > 0.2 > float(vectors[0] @ vectors[2])


async def test_the_parrot_repeats_and_counts(tmp_path):
    parrot = Parrot(Parrot.Options(prefix="네,"), LocalContext(tmp_path))
    response = await parrot.complete(
        ChatRequest(messages=(Message(role="user", content="입고 가 뭐죠"),), max_tokens=3)
    )
    assert (response.text, response.finish_reason) == ("네, 입고 가", "length")
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (3, 3)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_an_unreadable_source_is_a_record_error(tmp_path, content):
    source = tmp_path / "notes.txt"
    if content is not None:
        source.write_bytes(content)
    loader = LinesLoader(LinesLoader.Options(path=source), LocalContext(tmp_path))
    with pytest.raises(RecordError, match="unreadable"):
        list(loader.load(source))
