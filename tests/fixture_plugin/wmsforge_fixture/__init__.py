"""A plugin with one tiny component of every kind, and hooks that watch a run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wmsforge.hookspecs import Register, RegisterEnvironment, hookimpl


@hookimpl
def register_loaders(register: Register) -> None:
    register("lines", "wmsforge_fixture.loader:LinesLoader", summary="A text file, one document a line.")


@hookimpl
def register_retrievers(register: Register) -> None:
    register("keyword", "wmsforge_fixture.retriever:KeywordRetriever", summary="Paragraphs that share words.")


@hookimpl
def register_embedders(register: Register) -> None:
    register("hashing", "wmsforge_fixture.embedder:HashingEmbedder", summary="Hashed character trigrams.")


@hookimpl
def register_question_generators(register: Register) -> None:
    register("echo-questions", "wmsforge_fixture.questions:EchoQuestions", summary="One question a document.")


@hookimpl
def register_answer_generators(register: Register) -> None:
    register("first-passage", "wmsforge_fixture.answers:FirstPassage", summary="The best passage as it stands.")


@hookimpl
def register_filters(register: Register) -> None:
    register("contains", "wmsforge_fixture.filter:ContainsFilter", summary="Keeps records that hold a text.")


@hookimpl
def register_trainers(register: Register) -> None:
    register("count-trainer", "wmsforge_fixture.trainer:CountTrainer", summary="An adapter that is a word count.")
    register("isolated-trainer", "wmsforge_fixture.isolated:IsolatedTrainer", summary="The same, by a job.")


@hookimpl
def register_environments(register: RegisterEnvironment) -> None:
    register("fixture", "wmsforge_fixture:locks", extra="count", summary="tinydep 1.0, to count words.")


@hookimpl
def register_exporters(register: Register) -> None:
    register("copy-model", "wmsforge_fixture.exporters:CopyModel", summary="The same model in another place.")
    register("plain-text", "wmsforge_fixture.exporters:PlainText", summary="Questions and answers as plain text.")


@hookimpl
def register_servers(register: Register) -> None:
    register("static-server", "wmsforge_fixture.server:StaticServer", summary="Serves an artifact's facts as JSON.")


@hookimpl
def register_chat_models(register: Register) -> None:
    register("parrot", "wmsforge_fixture.chat_model:Parrot", summary="Says what was said last.")


@hookimpl
def register_evaluators(register: Register) -> None:
    register("row-counter", "wmsforge_fixture.evaluator:RowCounter", summary="Counts the rows of a dataset.")


@hookimpl
def step_started(step: str, component: str) -> None:
    _log("step_started", step=step, component=component)


@hookimpl
def step_finished(step: str, manifest: Mapping[str, Any]) -> None:
    _log("step_finished", step=step, manifest=dict(manifest))


@hookimpl
def record_rejected(step: str, record_id: str, reason: str, detail: str) -> None:
    _log("record_rejected", step=step, record_id=record_id, reason=reason, detail=detail)


@hookimpl
def call_finished(step: str, model: str, seconds: float, usage: Mapping[str, int], reused: bool) -> None:
    _log("call_finished", step=step, model=model, seconds=seconds, usage=dict(usage), reused=reused)


def _log(hook: str, **facts: Any) -> None:
    path = os.environ.get("WMSFORGE_FIXTURE_LOG")
    if path:
        with Path(path).open("a", encoding="utf-8") as log:
            log.write(json.dumps({"hook": hook, **facts}, ensure_ascii=False) + "\n")
