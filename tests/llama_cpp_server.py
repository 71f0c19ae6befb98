"""A real llama.cpp server on loopback that speaks OpenAI's protocol, with the small model that needs no download.

    python tests/llama_cpp_server.py --slots 4

Gemma 3 270M is a base model: it knows no chat turns, but continues a transcript. So the server's chat template
writes the messages as one, and a client asks it as it would ask any model behind `/v1/chat/completions`.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

MODEL = "gemma-3-270m"
TRANSCRIPT = (
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ message.content }}\n\n"
    "{% elif message.role == 'user' %}{{ message.content }}\n답변:"
    "{% else %} {{ message.content }}\n\n{% endif %}"
    "{% endfor %}"
)
"""The plain form in which `wmsforge_llama_cpp.transcript` shows a base model its examples."""


@contextmanager
def llama_cpp_server(*, slots: int = 4, context_tokens: int = 2048) -> Iterator[str]:
    """Serve from another process; gives the base_url, ending in /v1. Loading takes about three seconds."""
    command = [sys.executable, __file__, "--slots", str(slots), "--context-tokens", str(context_tokens)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "20000"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        try:
            if not base_url:
                raise RuntimeError(f"the server did not start: {' '.join(command)}")
            yield base_url
        finally:
            process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Serve until killed; the first line of stdout is the base_url."""
    import xllamacpp
    from wmsforge_llama_cpp.weights import BUNDLED, weights

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--context-tokens", type=int, default=2048, help="of one prompt with its answer")
    arguments = parser.parse_args()
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights(BUNDLED))
    parameters.model_alias = {MODEL}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = _free_port()
    parameters.n_parallel = arguments.slots
    parameters.n_ctx = arguments.slots * arguments.context_tokens
    parameters.swa_full = True
    parameters.use_jinja = True
    parameters.chat_template = TRANSCRIPT
    parameters.cache_ram_mib = 0
    parameters.verbosity = -1
    server = xllamacpp.Server(parameters)
    print(f"{server.listening_address}/v1", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
