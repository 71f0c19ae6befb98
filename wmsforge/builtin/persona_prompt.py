"""What `personas` says to a model: who it plays, the topic, the levels, what was asked before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from wmsforge.records import Difficulty, Persona
from wmsforge.steps.chat_model import Message

SHOWN = 60
"""Earlier questions that a prompt lists, the latest; all of them are compared with the new ones."""


@dataclass(frozen=True)
class Wording:
    """The prompt in one language."""

    role: str
    fields: tuple[str, str, str, str]
    """Labels of role, background, concerns and question style."""
    rules: str
    task: str
    levels: dict[Difficulty, str]
    level: str
    asked: str
    example: str


KOREAN = Wording(
    role="당신은 창고 관리 시스템(WMS) 도입을 고민하는 물류 현업자 '{name}'입니다. WMS 컨설턴트와 상담하고 있습니다.",
    fields=("직함", "상황", "관심사", "질문 스타일"),
    rules=(
        "규칙:\n"
        "- 이 사람의 상황과 관심사에서 실제로 나올 만한 것만, 이 사람의 질문 스타일로 묻습니다.\n"
        "- 질문 하나에는 한 가지만 묻고, 한두 문장의 자연스러운 한국어 존댓말로 씁니다.\n"
        "- 이름이나 자기소개 없이 바로 묻습니다. 앞의 질문이나 문서를 가리키는 말을 쓰지 않습니다.\n"
        "- 특정 제품이나 회사 이름을 지어내지 않습니다. 답은 쓰지 않습니다."
    ),
    task="주제: {topic}\n이 주제로 서로 다른 질문을 {count}개 하세요.\n난이도: {levels}",
    levels={
        "beginner": "beginner(용어나 기본 절차를 처음 묻는 수준)",
        "intermediate": "intermediate(운영해 본 사람이 방법과 기준을 묻는 수준)",
        "expert": "expert(예외, 연동, 수치, 설계까지 따지는 수준)",
    },
    level="{level} {count}개",
    asked="이미 한 질문입니다. 같은 것을 말만 바꾸어 다시 묻지 마세요:",
    example='다음 형식의 JSON으로만 답하세요: {"questions": [{"question": "질문", "difficulty": "난이도"}]}',
)

ENGLISH = Wording(
    role="You are '{name}', who works in logistics and thinks about introducing a warehouse management system (WMS). "
    "You are talking with a WMS consultant.",
    fields=("Role", "Situation", "Concerns", "Style of question"),
    rules=(
        "Rules:\n"
        "- Ask only what this person would really ask in this situation, in this person's style.\n"
        "- One thing a question, in one or two natural sentences.\n"
        "- Ask straight away, without a name or an introduction, and do not point to earlier questions or documents.\n"
        "- Invent no product or company. Do not answer."
    ),
    task="Topic: {topic}\nAsk {count} different questions about this topic.\nDifficulty: {levels}",
    levels={
        "beginner": "beginner (asks for terms and first steps)",
        "intermediate": "intermediate (runs a warehouse, asks for methods and criteria)",
        "expert": "expert (asks about exceptions, integration, figures and design)",
    },
    level="{count} x {level}",
    asked="These were asked before. Do not ask the same in other words:",
    example='Answer with JSON of this form only: {"questions": [{"question": "...", "difficulty": "..."}]}',
)


def wording(language: str) -> Wording:
    """Return the prompt's wording; languages other than Korean are asked in English."""
    return KOREAN if language == "ko" else ENGLISH


def build_messages(
    words: Wording, persona: Persona, topic: str, wanted: Sequence[Difficulty], asked: Sequence[str]
) -> tuple[Message, ...]:
    """Return the conversation that asks for one question of each level in `wanted`."""
    values = (persona.role, persona.background, ", ".join(persona.concerns), persona.question_style)
    traits = [f"- {label}: {value}" for label, value in zip(words.fields, values, strict=True) if value]
    system = [words.role.format(name=persona.name), *traits, words.rules]
    levels = [words.level.format(level=words.levels[level], count=n) for level, n in Counter(wanted).items()]
    user = [words.task.format(topic=topic, count=len(wanted), levels=", ".join(levels))]
    if asked:
        user += [words.asked, *(f"- {question}" for question in asked[-SHOWN:])]
    return (
        Message(role="system", content="\n".join(system)),
        Message(role="user", content="\n".join([*user, words.example])),
    )
