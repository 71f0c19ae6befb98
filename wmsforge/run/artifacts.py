"""Runs the steps that make something else than records: indexes, datasets, adapters, models, servers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from wmsforge.errors import StepError
from wmsforge.files import file_digest
from wmsforge.recipe.fingerprint import fingerprint
from wmsforge.recipe.model import ComponentUse
from wmsforge.records import Artifact
from wmsforge.run.step_run import StepRun
from wmsforge.steps.evaluator import Evaluator
from wmsforge.steps.exporter import DatasetExporter, ModelExporter, Origin
from wmsforge.steps.retriever import Retriever
from wmsforge.steps.server import Server
from wmsforge.steps.trainer import Trainer


async def run_retriever(run: StepRun) -> Artifact:
    """Build an index over the documents and leave it open for the steps that search it."""
    await run.inputs_finished()
    retriever: Retriever = await run.open(run.step.uses[0])
    artifact = await retriever.build(run.read())
    run.resources.retrievers[run.id] = retriever
    return artifact


async def load_retriever(run: StepRun) -> bool:
    """Open the finished index of an earlier run; build it again when it is torn. Return whether it was."""
    retriever: Retriever = await run.open(run.step.uses[0])
    try:
        await retriever.load()
        torn = False
    except StepError as error:
        run.resources.events.warn(run.id, f"the index is built again: {error}")
        await run.inputs_finished()
        await retriever.build(run.read())
        torn = True
    run.resources.retrievers[run.id] = retriever
    return torn


async def run_exporter(run: StepRun, origin: Origin) -> Artifact:
    """Write a dataset, or turn a model into another form."""
    await run.inputs_finished()
    exporter = await run.open(_redirected(run, run.step.uses[0]))
    if isinstance(exporter, ModelExporter):
        return await exporter.export(_artifact(run))
    assert isinstance(exporter, DatasetExporter)  # the registry checked the contract
    artifact = await asyncio.to_thread(exporter.export, run.read(), origin)
    rows, expected = artifact.facts.get("rows"), run.inputs_written()
    if rows != expected:
        raise StepError(
            f"Step {run.id!r} ({run.component}) wrote {rows} of {expected} rows.\n"
            f"This is a fault of the exporter; report it to its plugin."
        )
    return artifact


async def run_trainer(run: StepRun) -> Artifact:
    await run.inputs_finished()
    trainer: Trainer = await run.open(run.step.uses[0])
    return await trainer.train(_artifact(run))


async def run_evaluator(run: StepRun) -> Artifact:
    await run.inputs_finished()
    evaluator: Evaluator = await run.open(run.step.uses[0])
    return await evaluator.evaluate(_artifact(run))


async def run_server(run: StepRun) -> tuple[Server, Artifact]:
    """Start a server; the runner stops it when no one needs it any more."""
    await run.inputs_finished()
    server: Server = await run.open(run.step.uses[0])
    try:
        return server, await server.start(_artifact(run))
    except BaseException:  # a start that was cancelled may have left a process
        await server.stop()
        raise


def artifact_digest(artifact: Artifact, run: StepRun) -> str:
    """Return the digest of a file, else one made of what the artifact was made from."""
    if artifact.path and Path(artifact.path).is_file():
        return file_digest(Path(artifact.path))
    inputs = {source.id: source.manifest.digest for source in run.inputs if source.manifest}
    return fingerprint({"step": run.planned.fingerprint, "inputs": inputs})


def _redirected(run: StepRun, use: ComponentUse) -> ComponentUse:
    """Return the exporter's use with its option `path` in the preview's folder when this is a preview."""
    path = getattr(use.options, "path", None)
    if not run.planned.preview or path is None:
        return use
    preview = type(path)(run.planned.folder / Path(path).name)
    return replace(use, options=use.options.model_copy(update={"path": preview}))


def _artifact(run: StepRun) -> Artifact:
    manifest = run.inputs[0].manifest
    assert manifest is not None and manifest.artifact is not None  # the input finished and its kind was checked
    return manifest.artifact
