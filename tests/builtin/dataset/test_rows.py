"""The shape of a row."""

from pydantic import BaseModel

from wmsforge.builtin.dataset.rows import MessagesRow, columns, described, messages_row, persona_label
from wmsforge.records import Persona


def test_row_has_the_format_of_the_brief_first_and_then_ours(make_answer, persona, origin):
    answer = make_answer(
        1, "a.txt#입고 b.pdf@3 c.csv:7", cited=(1,), persona=persona, topic="재고 정확도 향상 방법", difficulty="expert"
    )
    row = messages_row(answer, origin, system="").model_dump(mode="json")
    assert list(row) == ["messages", "metadata"]
    assert row["messages"] == [
        {"role": "user", "content": "질문 1은 무엇인가요?"},
        {"role": "assistant", "content": "답변 1입니다."},
    ]
    metadata = row["metadata"]
    brief = ["topic", "persona", "persona_background", "context_used", "num_docs_retrieved", "created_at"]
    ours = ["id", "sources", "models", "difficulty", "recipe", "recipe_fingerprint", "run_id"]
    assert list(metadata) == brief + ours
    assert [metadata[name] for name in brief] == [
        "재고 정확도 향상 방법",
        "김영수 (중소 물류센터 관리자)",
        "전통적인 수기 관리에서 WMS 도입 검토 중",
        "a.txt#입고의 본문\n\nb.pdf@3의 본문\n\nc.csv:7의 본문",
        3,
        "2026-11-02T03:04:05Z",
    ]
    assert metadata["id"] == answer.id
    assert metadata["models"] == {"question": "questions.csv:3", "answer": "expert (test)"}
    assert metadata["difficulty"] == "expert"
    assert (metadata["recipe"], metadata["recipe_fingerprint"], metadata["run_id"]) == (
        "wms",
        "0123456789abcdef",
        "run-1",
    )
    places = [(s["path"], s["section"], s["page"], s["row"], s["cited"]) for s in metadata["sources"]]
    assert places == [
        ("a.txt", "입고", None, None, False),
        ("b.pdf", "", 3, None, True),
        ("c.csv", "", None, 7, False),
    ]
    assert metadata["sources"][0] | {"path": ""} == {
        "path": "",
        "page": None,
        "row": None,
        "section": "입고",
        "span": [10, 22],
        "score": 0.5,
        "cited": False,
        "passage_id": answer.retrieved[0].passage.id,
    }


def test_context_can_be_cut_into_the_sources_by_their_spans(make_answer, origin):
    metadata = messages_row(make_answer(1, "a.txt#1 b.txt#2"), origin, system="").metadata
    start, texts = 0, []
    for source in metadata.sources:
        length = source.span[1] - source.span[0]
        texts.append(metadata.context_used[start : start + length])
        start += length + len("\n\n")
    assert texts == ["a.txt#1의 본문", "b.txt#2의 본문"]


def test_row_of_an_answer_without_persona_topic_or_passages(make_answer, origin):
    metadata = messages_row(make_answer(1, "", cited=()), origin, system="").metadata
    assert (metadata.persona, metadata.persona_background, metadata.topic) == ("", "", "")
    assert (metadata.context_used, metadata.num_docs_retrieved, metadata.sources) == ("", 0, [])
    assert metadata.difficulty is None


def test_system_prompt_comes_first(make_answer, origin):
    row = messages_row(make_answer(1), origin, system="당신은 WMS 컨설턴트입니다.")
    assert [turn.role for turn in row.messages] == ["system", "user", "assistant"]


def test_persona_without_role_is_its_name():
    assert persona_label(Persona(name="김영수")) == "김영수"


def test_columns_describe_nested_types():
    class Inner(BaseModel):
        share: float
        sure: bool

    class Outer(BaseModel):
        name: str
        page: int | None
        span: tuple[int, int]
        inner: Inner
        many: list[Inner]

    inner = [{"name": "share", "dtype": "float64"}, {"name": "sure", "dtype": "bool"}]
    assert columns(Outer) == [
        {"name": "name", "dtype": "string"},
        {"name": "page", "dtype": "int64"},
        {"name": "span", "list": "int64"},
        {"name": "inner", "struct": inner},
        {"name": "many", "list": inner},
    ]


def test_every_field_of_a_row_is_described():
    fields = dict(described(MessagesRow))
    assert "metadata.sources.span" in fields
    assert [name for name, text in fields.items() if not text] == []
