"""Drops what a language model writes when it fails: loops, cut-off ends, text of its prompt, echoes."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from difflib import SequenceMatcher
from itertools import pairwise

from pydantic import Field

from wmsforge import options
from wmsforge.builtin.sentences import CLOSERS, LIST_MARK, split_sentences
from wmsforge.records import Answer
from wmsforge.steps.filter import KEEP, Filter, Item, Verdict, drop

_LEAKS = re.compile(
    r"(?:^|(?<=[\s.!?…]))(?:질문|답변)\s*\d{0,2}\s*[:：]"  # also in the middle of a line
    r"|^\s*(?:참고\s?문서|문서|문맥|지시|규칙|사용자|어시스턴트|시스템)\s*\d{0,2}\s*[:：]"
    r"|^\s*(?:Q|A|Question|Answer|Context|Passages?|Documents?|Instructions?|System|User|Assistant)\s*\d{0,2}\s*:"
    r"|\[(?:문서|참고|Document|Passage)\s?\d{1,2}\]"
    r"|<\|?(?:im_start|im_end|start_of_turn|end_of_turn|bos|eos|endoftext|/?s)\|?>|\[/?INST\]|^###\s?(?:Instruction|Response)",
    re.MULTILINE,
)
_SENTENCE_END = re.compile(rf"(?:[.!?。…~]|[다요까죠오음함임됨것])[{re.escape(CLOSERS)}]*$|[|)\]}}>`」』】]$")
_QUESTION = re.compile(rf"(?:\?|(?:까|나요|가요)\.?)[{re.escape(CLOSERS)}]*$")
_TABLE_LINE = re.compile(r"^\s*\|.*$", re.MULTILINE)
_STUTTER = re.compile(r"(\S{2,} \S{2,}?)(?:은|는|이|가) \1(?:을|를)(?=\s)")
"""'A B은 A B을': a small model that takes the subject for the object."""
_GLUED_LOOP = re.compile(r"([가-힣]{2,12}?)\1{3,}")
_PHRASE_WORDS = 3
_LONGEST_LOOP_WORDS = 24
_LEAST_SENTENCE_LETTERS = 10


class DegenerateFilter(Filter):
    """Keeps text that reads as if someone meant it. Ends and echoes are judged in answers only."""

    class Options(options.Options):
        max_consecutive: int = Field(
            default=2, ge=1, description="Times the same words may stand directly one after the other."
        )
        max_sentence_repeats: int = Field(
            default=3,
            ge=1,
            description="Times one sentence of 10 letters or more may occur in a text; never twice in a row.",
        )
        max_repeated_share: float = Field(
            default=0.5,
            ge=0,
            le=1,
            description="Share of the text's three-word phrases, 0..1, that may be repeats, numbers aside.",
        )
        require_sentence_end: bool = Field(
            default=True,
            description="Drop answers that stop in the middle: no full stop, no Korean sentence ending, no closed "
            "bracket, and not in a list item.",
        )
        max_echo: float = Field(
            default=0.9,
            ge=0,
            le=1,
            description="Similarity of the answer to its question, 0..1, from which it counts as a mere repetition.",
        )
        leak_phrases: tuple[str, ...] = Field(
            default=(),
            description="Further words of your prompts that no text may hold, such as '도서 대출'; "
            "marks like '질문:' and '[문서 1]' are always looked for.",
        )

    options: Options

    def check(self, record: Item) -> Verdict:
        text = record.text
        if leak := _LEAKS.search(text):
            return drop("prompt_leak", f"{leak[0].strip()!r} at character {leak.start()}")
        for phrase in self.options.leak_phrases:
            if phrase in text:
                return drop("prompt_leak", f"{phrase!r} at character {text.index(phrase)}")
        verdict = self._repetition(text)
        if verdict.keep and isinstance(record, Answer):
            verdict = self._answer(record)
        return verdict

    def _repetition(self, text: str) -> Verdict:
        running = _TABLE_LINE.sub("", text)  # columns of a table repeat by nature
        words = [word for word in (re.sub(r"^\W+|\W+$", "", piece) for piece in running.split()) if word]
        times, what = _longest_loop(words)
        if times > self.options.max_consecutive:
            return drop("loop", f"{what!r} {times} times in a row")
        if stutter := _STUTTER.search(running):
            return drop("stutter", f"{stutter[0]!r}: the same words as subject and object")
        if glued := _GLUED_LOOP.search(running):
            return drop("loop", f"{glued[1]!r} {len(glued[0]) // len(glued[1])} times in a row without blanks")
        sentences = split_sentences(running)
        for sentence, following in pairwise(sentences):
            if sentence == following and _is_long(sentence):
                return drop("repeated_sentence", f"{sentence!r} twice in a row")
        for sentence, times in Counter(filter(_is_long, sentences)).most_common(1):
            if times > self.options.max_sentence_repeats:
                return drop("repeated_sentence", f"{sentence!r} {times} times")
        counted = [re.sub(r"\d+", "0", word) for word in words]  # a loop may count on: 1단계, 2단계, ...
        phrases = [tuple(counted[i : i + _PHRASE_WORDS]) for i in range(len(words) - _PHRASE_WORDS + 1)]
        repeated = 1 - len(set(phrases)) / len(phrases) if phrases else 0.0
        if repeated > self.options.max_repeated_share:
            return drop("repeated_phrases", f"{repeated:.0%} of {len(phrases)} three-word phrases are repeats")
        return KEEP

    def _answer(self, answer: Answer) -> Verdict:
        echo = SequenceMatcher(None, _letters(answer.question.text), _letters(answer.text), autojunk=False).ratio()
        if echo >= self.options.max_echo:
            return drop("echo", f"{echo:.0%} the same as the question")
        sentences = split_sentences(answer.text)
        if sentences and all(map(_QUESTION.search, sentences)):
            return drop("only_questions", f"all {len(sentences)} sentences are questions")
        if self.options.require_sentence_end and _is_cut_off(answer.text):
            return drop("cut_off", f"ends in {answer.text.strip()[-20:]!r}, which ends no sentence")
        return KEEP


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()


def _is_long(sentence: str) -> bool:
    return len(_letters(sentence)) >= _LEAST_SENTENCE_LETTERS


def _longest_loop(words: list[str]) -> tuple[int, str]:
    """Return how often the same words stand one after the other, at most, and which; numbers alone aside."""
    best, what = 1, ""
    for size in range(1, min(_LONGEST_LOOP_WORDS, len(words) // 2) + 1):
        same = 0  # words in a row that equal the word `size` places before
        for i in range(size, len(words)):
            same = same + 1 if words[i] == words[i - size] else 0
            if 1 + same // size > best and any(map(str.isalpha, unit := words[i - size + 1 : i + 1])):
                best, what = 1 + same // size, " ".join(unit)
    return best, what


def _is_cut_off(text: str) -> bool:
    """Tell whether the text stops inside a sentence; a list item may be a mere noun phrase."""
    lines = text.strip().splitlines()
    if not lines:
        return True
    last = lines[-1].rstrip()
    while last and unicodedata.category(last[-1]) in ("So", "Sk", "Mn", "Cf"):  # emoji after the full stop
        last = last[:-1].rstrip()
    if _SENTENCE_END.search(last):
        return False
    return not (LIST_MARK.match(last) and last[-1].isalnum())
