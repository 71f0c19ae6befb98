"""What a served model answers to the prompts that its weights were asked: by llama.cpp here, or at a server's URL."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from wmsforge.env.worker import JobError
from wmsforge_export.jobs.compare import SHOWN_CHARS, divergence, similarity
from wmsforge_export.jobs.observe import Observed
from wmsforge_export.jobs.rows import Conversation

TIMEOUT_S = 300


def ask_llama(path: str, rows: Sequence[Conversation], asked: Sequence[Observed], bos: str, max_tokens: int) -> Any:
    """Serve a GGUF file with llama.cpp in this process and compare its prompts, tokens and greedy answers."""
    context = max(len(one.prompt_tokens) for one in asked) + max_tokens + 16
    answers = []
    with _llama(path, context) as url:
        for row, one in zip(rows, asked, strict=True):
            prompt = post(f"{url}/apply-template", {"messages": row[:-1]})["prompt"]
            body = {"content": prompt, "add_special": True, "parse_special": True}
            tokens = post(f"{url}/tokenize", body)["tokens"]
            body = {"prompt": tokens, "n_predict": max_tokens, "temperature": 0, "return_tokens": True}
            reply = post(f"{url}/completion", {**body, "cache_prompt": False})
            # llama.cpp puts the first token before the text by itself, and takes it out of what a template renders
            equal = prompt.encode() in (one.prompt.encode(), one.prompt.removeprefix(bos).encode())
            answers.append(
                {
                    **_answer(one, reply["content"]),
                    "template_equal": equal,
                    "tokens_equal": tokens == one.prompt_tokens,
                    "first_divergence": divergence(one.answer_tokens, _without_end(reply, one)),
                }
            )
    return _figures("llama.cpp", answers)


def ask_server(served: dict[str, Any], rows: Sequence[Conversation], asked: Sequence[Observed], max_tokens: int) -> Any:
    """Ask a server with OpenAI's API. It tells how many tokens it read, which a wrong template would change."""
    answers = []
    url = f"{served['url'].rstrip('/')}/chat/completions"
    key = os.environ.get(served["key_variable"], "") if served.get("key_variable") else ""
    for row, one in zip(rows, asked, strict=True):
        body = {"model": served["model"], "messages": row[:-1], "temperature": 0, "max_tokens": max_tokens}
        reply = post(url, body, key)
        read = reply.get("usage", {}).get("prompt_tokens")
        content, expected = reply["choices"][0]["message"]["content"] or "", one.answer or ""
        answers.append(
            {
                **_answer(one, content),
                "template_equal": None if read is None else read == len(one.prompt_tokens),
                "tokens_equal": None if read is None else read == len(one.prompt_tokens),
                "first_divergence": divergence(list(map(ord, expected)), list(map(ord, content))),
            }
        )
    return _figures(served["url"], answers)


def post(url: str, body: dict[str, Any], key: str = "") -> Any:
    """Send JSON, return JSON.

    Raises:
        JobError: If the server does not answer, or answers with an error.
    """
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        said = error.read(500).decode(errors="replace")
        raise JobError(f"{url} answered {error.code}: {said}\nCheck parity.served: url, model, key_variable") from error
    except OSError as error:
        raise JobError(f"{url} does not answer: {error}\nStart the server, or leave parity.served out.") from error


@contextmanager
def _llama(path: str, context_tokens: int) -> Iterator[str]:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_parallel = 1
    parameters.n_ctx = context_tokens
    parameters.use_jinja = True
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.verbosity = -1
    threads = os.cpu_count() or 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    try:
        server = xllamacpp.Server(parameters)
    except (RuntimeError, ValueError) as error:
        raise JobError(f"llama.cpp cannot load {path}: {error}\nConvert it again; the step's log says more.") from error
    yield server.listening_address
    del server  # which stops it


def _without_end(reply: dict[str, Any], one: Observed) -> list[int]:
    """Return the answer's tokens; llama.cpp tells the one that ended it, too."""
    tokens: list[int] = reply["tokens"]
    return tokens[:-1] if reply["stop_type"] == "eos" and len(tokens) > len(one.answer_tokens) else tokens


def _answer(one: Observed, content: str) -> dict[str, Any]:
    return {
        "question": one.question,
        "similarity": similarity(one.answer or "", content),
        "answer_before": (one.answer or "")[:SHOWN_CHARS],
        "answer_after": content[:SHOWN_CHARS],
    }


def _figures(server: str, answers: list[dict[str, Any]]) -> dict[str, Any]:
    def all_equal(key: str) -> bool | None:
        told = [one[key] for one in answers]
        return None if None in told else all(told)

    return {
        "server": server,
        "answers": len(answers),
        "template_equal": all_equal("template_equal"),
        "tokens_equal": all_equal("tokens_equal"),
        "answers_equal": sum(one["first_divergence"] is None for one in answers),
        "similarity": sum(one["similarity"] for one in answers) / len(answers),
        "by_prompt": sorted(answers, key=lambda one: one["similarity"]),
    }
