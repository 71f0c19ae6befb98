"""llama.cpp's server inside this process, called without HTTP: parallel slots, one thread each."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any


class LlamaServer:
    """One loaded model.

    Args:
        slots: Requests that are decoded together.
        context_tokens: Prompt and answer of one request at most, in tokens.
        threads: CPU threads of the decoder.
    """

    def __init__(self, path: Path, *, slots: int, context_tokens: int, threads: int) -> None:
        self._path = path
        self._slots = slots
        self._context_tokens = context_tokens
        self._threads = threads
        self._server: Any = None
        # A call blocks its thread but lets go of the GIL, so each slot has a thread of its own.
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="llama")

    async def start(self) -> None:
        """Load the model; takes about a second for 250 MB."""
        self._server = await asyncio.get_running_loop().run_in_executor(self._pool, self._load)

    async def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """Continue `body["prompt"]`; the reply has OpenAI's completion shape, or an "error"."""
        return await self._call(self._server.handle_completions, body)

    async def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        """Answer `body["messages"]` through the model's own chat template."""
        return await self._call(self._server.handle_chat_completions, body)

    async def stop(self) -> None:
        """Wait for requests under way and free the model."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        self._server = None

    async def _call(self, method: Any, body: dict[str, Any]) -> dict[str, Any]:
        reply: dict[str, Any] = await asyncio.get_running_loop().run_in_executor(self._pool, method, body)
        return reply

    def _load(self) -> Any:
        # Read when the library loads: its threads spin a short while at barriers and then sleep. Spinning without
        # end, the default, loses most of the speed as soon as anything else wants a core (14 tokens/s against 32);
        # alone on two cores this writes as fast (8 slots: 94 to 98 tokens/s, 94 spinning, 91 sleeping at once).
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(self._path)
        parameters.n_parallel = self._slots
        parameters.n_ctx = self._slots * self._context_tokens
        # Gemma 3's sliding window would forget the start of the examples, and with it the shared prefix.
        parameters.swa_full = True
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = self._threads
        parameters.cache_ram_mib = 0
        parameters.verbosity = -1
        return xllamacpp.Server(parameters)
