"""Drops answers that say the model, or its documents, do not know."""

from __future__ import annotations

import re

from pydantic import Field

from wmsforge import options
from wmsforge.builtin.sentences import split_sentences
from wmsforge.records import Answer
from wmsforge.steps.filter import KEEP, Filter, Item, Verdict, drop

_QUOTED = re.compile(r"\"[^\"\n]{1,120}\"|'[^'\n]{1,120}'|“[^”\n]{1,120}”|‘[^’\n]{1,120}’|「[^」\n]{1,120}」")
_APOLOGY = re.compile(r"^(?:죄송합니다|죄송해요|미안합니다|(?:I'm |I am )?sorry)\W*$", re.IGNORECASE)

_CANNOT = (
    r"(?:(?:찾을|찾아볼|알|확인할|파악할|판단할|답할|답변할|답변드릴|말씀드릴|제공할|제공해 드릴|알려 ?드릴"
    r"|안내해 ?드릴) ?수(?:가|는)? ?없"
    r"|(?:찾지|알지|확인하지|답하지|답변하지) ?못(?:했|하겠|합니다|함)"
    r"|(?:답변|답|안내|확인|설명|말씀)(?:을|를)? ?(?:드리기|하기)(?:가|는)? ?(?:어렵|힘들))"
)
_LACKS = (
    r"(?:없|부족하|부족합니다"
    r"|(?:나와|나타나|포함되어|포함돼|언급되어|언급돼|명시되어|명시돼|기재되어|제시되어|설명되어|다루고|들어|적혀|쓰여)"
    r" ?있지(?:는)? ?않"
    r"|(?:나오지|나타나지|언급되지|언급하지|명시되지|포함되지|다루지|제공되지|확인되지)(?:는)? ?않)"
)
_END = r"\S*(?: 것 같습니다)?[.!…~\s]*$"
_ABOUT = (
    r"(?:(?:죄송하지만|죄송합니다만|죄송하게도|아쉽게도|유감스럽게도|안타깝게도|현재로서는|현재|저는|저로서는|이|그|해당|관련|정확한|구체적인"
    r"|질문하신|문의하신|요청하신|[^.!?]{1,40}에 (?:대한|대해|대해서는|관한|관해))[,\s]+)*"
)
_ANSWER = r"(?:(?:답|답변|정보|내용|자료|근거|사항|부분|질문|문의)(?:은|는|을|를|이|가|도|에|에는)? ?)?"
_KNOWS_NOT = (
    # 제공된 문서에서는 ... 찾을 수 없습니다 / 문서에 ... 나와 있지 않습니다; a condition ("없으면") is content
    r"(?:(?:문서|자료|문맥|지문|본문|매뉴얼|컨텍스트)(?:들)?(?:에서는|에서|에는|에|만으로는|만으로|로는|상으로는|상)"
    r"|정보(?:만으로는|만으로|로는))\s"
    rf"(?:(?!면\s).)*(?:{_CANNOT}|{_LACKS}){_END}",
    # 잘 모르겠습니다
    r"(?:모르겠(?:습니다|어요|네요|음)|(?:^|\s)모릅니다)[.!…~\s]*$",
    # 해당 정보는 확인할 수 없습니다 / 드론에 대한 내용이 없습니다: about an answer as such, or about nothing
    rf"^{_ABOUT}{_ANSWER}(?:(?:정확히|정확하게|구체적으로) )?(?:{_CANNOT}|{_LACKS}){_END}",
    # 정보가 부족하여 답변할 수 없습니다
    r"(?:정보|근거|내용|자료)(?:이|가) (?:없어|없어서|없으므로|부족하여|부족해|부족해서|부족하므로) "
    rf"(?:\S+ )?{_CANNOT}{_END}",
    r"\bI(?: am|'m)?(?: really| honestly)? (?:do not|don't|cannot|can't|not sure|(?:am )?unable to|could not|couldn't)"
    r"(?: (?:know|answer|find|determine|provide|tell|help))?\b",
    r"\b(?:documents?|passages?|context|information|text)\b[^.]*\b(?:does|do|did) not\b[^.]*"
    r"\b(?:say|mention|contain|hold|provide|specify|include|state)\b",
    r"\b(?:no|not enough|insufficient) (?:relevant )?information\b",
    r"\bnot (?:mentioned|specified|stated|found) in the (?:documents?|passages?|context|text)\b",
    r"\bas an AI\b",
)
_PATTERNS = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _KNOWS_NOT)


class DontKnowFilter(Filter):
    """Keeps answers that answer.

    A sentence counts when ignorance is what it states, at its end: "문서에서 답을 찾을 수 없습니다."
    does, "재고를 확인할 수 없습니다 오류가 뜨면 다시 스캔합니다." and quoted messages do not.
    An answer is dropped when it opens with such a sentence, or when `max_share` of it is made of them.
    """

    class Options(options.Options):
        max_share: float = Field(
            default=0.5,
            ge=0,
            le=1,
            description="Share of the answer's sentences, 0..1, that may say they do not know when the first does not.",
        )
        phrases: tuple[str, ...] = Field(
            default=(), description="Further phrases that mark a sentence as not knowing, found anywhere in it."
        )

    accepts = (Answer,)
    options: Options

    def check(self, record: Item) -> Verdict:
        sentences = split_sentences(_QUOTED.sub("인용", record.text))
        sentences = [sentence for sentence in sentences if not _APOLOGY.match(sentence)]
        ignorant = [sentence for sentence in sentences if self._knows_not(sentence)]
        if not ignorant:
            return KEEP
        share = len(ignorant) / len(sentences)
        if ignorant[0] == sentences[0] or share > self.options.max_share:
            return drop("dont_know", f"{ignorant[0]!r}; {share:.0%} of {len(sentences)} sentences say so")
        return KEEP

    def _knows_not(self, sentence: str) -> bool:
        return any(phrase in sentence for phrase in self.options.phrases) or any(
            pattern.search(sentence) for pattern in _PATTERNS
        )
