"""The loss is on the assistant's tokens only, end token included: labels against a hand computation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qlora_doubles import job, require, tiny_tokenizer

from wmsforge.env.worker import JobError

TURNS = [
    {"role": "system", "content": "짧게 답하세요."},
    {"role": "user", "content": "크로스도킹이 뭔가요?"},
    {"role": "assistant", "content": "입고한 물건을 보관하지 않고 바로 출고합니다."},
    {"role": "user", "content": "언제 쓰나요?"},
    {"role": "assistant", "content": "신선 식품에 씁니다."},
]
OWN_WITHOUT_MARKS = (
    r"{% for message in messages %}{{ '### ' ~ message.role.title() ~ ':\n' ~ message.content }}"
    r"{% if not loop.last %}{{ '\n\n' }}{% endif %}{% endfor %}"
    r"{% if add_generation_prompt %}{{ '\n\n### Assistant:\n' }}{% endif %}"
)
FORGETS_TURNS = "{% for message in messages[-2:] %}{{ message.role }}: {{ message.content }}\n{% endfor %}"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    require()
    return tiny_tokenizer()


def parts(tokenizer: Any, pieces: list[tuple[str, bool]]) -> tuple[list[int], list[int]]:
    """Return ids and labels of pieces written down by hand, each with whether it is learned."""
    ids: list[int] = []
    labels: list[int] = []
    for text, learned in pieces:
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids += tokens
        labels += tokens if learned else [-100] * len(tokens)
    return ids, labels


def tokens_with(tokenizer: Any, tmp_path: Path, template: str, turns: list[dict[str, str]], name: str = "base") -> Any:
    from wmsforge_qlora.jobs.settings import Job
    from wmsforge_qlora.jobs.template import choose
    from wmsforge_qlora.jobs.tokens import Tokenization

    choose(Job.of(job(tmp_path, tmp_path / "rows.json", Path(name), chat_template=template)), tokenizer, "llama")
    tokenization = Tokenization(tokenizer)
    return tokenization.tokens(turns), tokenization


def test_labels_of_the_gemma_template_are_the_answers_and_the_ends_of_their_turns(
    tokenizer: Any, tmp_path: Path
) -> None:
    found, _ = tokens_with(tokenizer, tmp_path, "gemma", TURNS)
    ids, labels = parts(
        tokenizer,
        [
            (
                "<bos><start_of_turn>user\n짧게 답하세요.\n\n크로스도킹이 뭔가요?<end_of_turn>\n<start_of_turn>model\n",
                False,
            ),
            ("입고한 물건을 보관하지 않고 바로 출고합니다.<end_of_turn>\n", True),
            ("<start_of_turn>user\n언제 쓰나요?<end_of_turn>\n<start_of_turn>model\n", False),
            ("신선 식품에 씁니다.<end_of_turn><eos>", True),
        ],
    )
    assert (found.input_ids, found.labels) == (ids, labels)
    assert found.labels[-1] == tokenizer.eos_token_id


def test_labels_of_the_solar_template_are_the_answers_and_the_end_token(tokenizer: Any, tmp_path: Path) -> None:
    found, tokenization = tokens_with(tokenizer, tmp_path, "solar", TURNS)
    ids, labels = parts(
        tokenizer,
        [
            ("### System:\n짧게 답하세요.\n\n### User:\n크로스도킹이 뭔가요?\n\n### Assistant:\n", False),
            ("입고한 물건을 보관하지 않고 바로 출고합니다.<eos>", True),
            ("\n\n### User:\n언제 쓰나요?\n\n### Assistant:\n", False),
            ("신선 식품에 씁니다.<eos>", True),
        ],
    )
    assert (found.input_ids, found.labels) == (ids, labels)
    assert tokenization.ends_added == 0


def test_the_models_own_template_without_marks_learns_its_answers_and_an_added_end(
    tokenizer: Any, tmp_path: Path
) -> None:
    tokenizer.chat_template = OWN_WITHOUT_MARKS
    found, tokenization = tokens_with(tokenizer, tmp_path, "auto", TURNS)
    ids, labels = parts(
        tokenizer,
        [
            ("### System:\n짧게 답하세요.\n\n### User:\n크로스도킹이 뭔가요?\n\n### Assistant:\n", False),
            ("입고한 물건을 보관하지 않고 바로 출고합니다.", True),
            ("\n\n### User:\n언제 쓰나요?\n\n### Assistant:\n", False),
            ("신선 식품에 씁니다.", True),
            ("<eos>", True),
        ],
    )
    assert (found.input_ids, found.labels) == (ids, labels)
    assert tokenization.ends_added == 1


def test_a_template_that_rewrites_earlier_turns_is_refused_where_it_has_no_marks(
    tokenizer: Any, tmp_path: Path
) -> None:
    file = tmp_path / "own.jinja"
    file.write_text(FORGETS_TURNS)
    with pytest.raises(JobError, match=r"(?s)writes a turn differently.*chat_template: solar"):
        tokens_with(tokenizer, tmp_path, str(file), TURNS)


def test_a_base_without_template_gets_the_one_of_its_family_and_others_are_asked(
    tokenizer: Any, tmp_path: Path
) -> None:
    from wmsforge_qlora.jobs.settings import Job
    from wmsforge_qlora.jobs.template import choose

    def chosen(base: str, model_type: str) -> str:
        tokenizer.chat_template = None
        return choose(Job.of(job(tmp_path, tmp_path / "rows", Path(base), chat_template="auto")), tokenizer, model_type)

    assert chosen("upstage/SOLAR-10.7B-v1.0", "llama") == "solar"
    assert chosen("some/base", "gemma3_text") == "gemma"
    with pytest.raises(JobError, match=r"brings no chat template.*\n.*--set steps.tuned.chat_template=chatml"):
        chosen("some/base", "llama")


@pytest.mark.parametrize("name", ["gemma", "solar", "chatml"])
def test_the_serving_copy_has_no_marks_and_renders_the_same_text(tokenizer: Any, tmp_path: Path, name: str) -> None:
    from wmsforge_qlora.jobs.template import is_marked, serving_copy

    tokens_with(tokenizer, tmp_path, name, TURNS)
    marked, plain = tokenizer.chat_template, serving_copy(tokenizer.chat_template)
    assert is_marked(marked)
    assert not is_marked(plain)
    for turns, prompt in ((TURNS, False), (TURNS[:-1], True)):
        texts = [
            tokenizer.apply_chat_template(turns, chat_template=template, tokenize=False, add_generation_prompt=prompt)
            for template in (marked, plain)
        ]
        assert texts[0] == texts[1]
        # A server asks with just the text that the answer was trained after.
        assert not prompt or tokenizer.apply_chat_template(TURNS, tokenize=False).startswith(texts[0])
