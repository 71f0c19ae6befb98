"""Embeds a few texts through a real llama.cpp server and prints what came, as one JSON object."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tempfile
from pathlib import Path

import xllamacpp
from wmsforge_llama_cpp.weights import BUNDLED, weights
from wmsforge_openai.embedder import OpenAICompatibleEmbedder

from wmsforge.steps.embedder import USED_TOKENS
from wmsforge.testing import LocalContext


def serve() -> xllamacpp.Server:
    """Start the server in this process; it ends with what is returned."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights(BUNDLED))
    parameters.embedding = True
    parameters.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    parameters.n_parallel = 2
    parameters.n_ctx = 1024
    parameters.hostnames = ["127.0.0.1"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        parameters.port = probe.getsockname()[1]
    parameters.verbosity = -1
    return xllamacpp.Server(parameters)


async def main(base_url: str) -> None:
    options = OpenAICompatibleEmbedder.Options(base_url=base_url, model="gemma-3-270m")
    embedder = OpenAICompatibleEmbedder(options, LocalContext(Path(tempfile.gettempdir())))
    await embedder.open()
    used: list[int] = []
    USED_TOKENS.set(used)
    vectors = await embedder.embed_passages(["입고 검수는 두 시간 안에 끝냅니다.", "휴가 신청", "휴가 신청"])
    await embedder.close()
    told = {
        "dimension": embedder.dimension,
        "used_tokens": sum(used),
        "lengths": [float((vector @ vector) ** 0.5) for vector in vectors],
        "same": float(vectors[1] @ vectors[2]),
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    server = serve()
    asyncio.run(main(f"{server.listening_address}/v1"))
    os._exit(0)  # the server's threads would keep the process alive
