"""Answer generator `rag`: retrieve passages, answer from them alone, say which ones hold the answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from wmsforge.builtin.evidence import Evidence, find_evidence
from wmsforge.builtin.rag_prompt import Messages, build_messages, heading, one_line, wording
from wmsforge.errors import RecordError, StepError
from wmsforge.options import ChatModelRef, FilterRef, Ref, RetrieverRef
from wmsforge.options import Options as BaseOptions
from wmsforge.reasons import EMPTY, REFUSAL, TRUNCATED
from wmsforge.records import Answer, Passage, Question, Retrieved, content_id
from wmsforge.steps.answer_generator import AnswerGenerator
from wmsforge.steps.chat_model import Chat, ChatRequest, ChatResponse
from wmsforge.steps.expect import Asking, Expected, Range
from wmsforge.steps.filter import Filter, Verdict
from wmsforge.steps.retriever import Retriever

_CITATION = re.compile(r"\s*\[(\d{1,2}(?:\s*,\s*\d{1,2})*)\]")
"""`[1]`, and `[1, 3]` as models also write."""
_SENTENCE_END = re.compile(r"\s*(?:[.!?]|\n|\Z)")
PASSAGE_CHARS, SENTENCE_CHARS = Range(50, 1500), Range(10, 300)
QUESTION_CHARS, ANSWER_TOKENS = 300, 10
"""Sizes that a quote goes by, since nothing is retrieved for it."""
Showing = list[tuple[int, str, str]]
"""What the model is shown at once: (index of the passage, its heading, text)."""


def take_citations(marks: re.Pattern[str], written: str, shown: int) -> tuple[str, list[int]]:
    """Return a text without its citations, and the numbers cited.

    A number that no passage has, as in `A[0]`, is one only where it ends a sentence as citations do.
    """
    cited: list[int] = []

    def take(found: re.Match[str]) -> str:
        numbers = [int(number) for number in re.findall(r"\d+", found[0])]
        ends_sentence = _SENTENCE_END.match(found.string, found.end()) is not None
        if not (ends_sentence or all(1 <= number <= shown for number in numbers)):
            return found[0]
        cited.extend(numbers)
        return ""

    return marks.sub(take, written), cited


class RetrievalAnswers(AnswerGenerator):
    """Plays the consultant. With `samples` above 1 the best one by `choose_by` becomes the answer."""

    version = "2"

    class Options(BaseOptions):
        retriever: RetrieverRef = Field(description="The id of the retriever step to search.")
        model: ChatModelRef = Field(description="The chat model that answers.")
        top_k: int = Field(default=3, ge=1, le=50, description="Passages to retrieve for a question.")
        passages: Literal["together", "apart"] = Field(
            default="together",
            description="'together' shows the model all passages at once; 'apart' shows one at a time, the next one "
            "for the next sample, which small models do better at.",
        )
        evidence_sentences: int | None = Field(
            default=None,
            ge=1,
            le=20,
            description="Show the model only this many sentences of a passage, those that bear on the question most; "
            "whole passages if unset. With `passages: apart` the most promising passage comes first, then its best "
            "sentence alone, then the others.",
        )
        max_tokens: int = Field(default=500, ge=1, description="Tokens an answer may have.")
        samples: int = Field(
            default=1, ge=1, le=32, description="Answers to draw. The first from each showing is greedy."
        )
        temperature: float = Field(default=0.7, ge=0, le=2, description="Temperature of the answers that are not.")
        choose_by: FilterRef | None = Field(
            default=None, description="Filter whose score chooses among several answers, such as 'grounded'."
        )
        enough_score: float = Field(
            default=1.0, ge=0, le=1, description="Score by `choose_by` at which no further answer is drawn."
        )

        @model_validator(mode="after")
        def _several_need_a_judge(self) -> RetrievalAnswers.Options:
            if self.choose_by is None and self.samples > 1:
                raise ValueError("'samples' above 1 needs 'choose_by', the filter that chooses among them")
            return self

    options: Options

    def expect(self, items: Range) -> Expected:
        """Expect a call for each question, up to `samples` where several are drawn."""
        options, words = self.options, wording(self.context.language)
        shown = options.top_k if options.passages == "together" else 1
        passage = PASSAGE_CHARS if options.evidence_sentences is None else SENTENCE_CHARS * options.evidence_sentences
        system = len(getattr(options, "system_prompt", None) or words.rules)
        examples = sum(map(len, (text for example in words.examples for text in example)))
        calls = items * Range(1, options.samples)
        chars = Range(system / 2, 3 * system + examples + QUESTION_CHARS) + passage * Range(1, shown)
        tokens = Range(min(ANSWER_TOKENS, options.max_tokens), options.max_tokens)
        return Expected(Range(0, items.high), (Asking(options.model, calls, chars, tokens),))

    async def open(self) -> None:
        self._retriever: Retriever = await self.context.retriever(self.options.retriever)
        self._chat: Chat = await self.context.chat(self.options.model)
        chooser = self.options.choose_by
        self._filter: Filter | None = await self._open_judge(chooser) if chooser else None
        self._words = wording(self.context.language)

    async def _open_judge(self, chooser: Ref) -> Filter:
        judge = await self.context.filter(chooser)
        if not isinstance(judge, Filter) or Answer not in judge.accepts:
            raise StepError(
                f"Step {self.context.step!r}: 'choose_by' names {chooser.name or chooser.use!r}, which does not judge "
                f"one answer at a time.\nName a filter that does, such as 'grounded'."
            )
        return judge

    async def answer(self, question: Question) -> Answer:
        """See `AnswerGenerator.answer`.

        Raises:
            RecordError: `nothing_retrieved`, `no_evidence`, `truncated`, `empty` or `refusal`.
        """
        found = tuple(await self._retriever.search(question.text, self.options.top_k))
        if not found:
            raise RecordError("nothing_retrieved", f"no passage matches {question.text!r}")
        showings = self._showings(question.text, [hit.passage for hit in found])
        best: Answer | None = None
        best_rank = (False, -1.0)
        failure: RecordError | None = None
        for sample in range(self.options.samples):
            # One after another, so that a good first answer saves the rest; many questions are in work at once.
            showing = showings[sample % len(showings)]
            try:
                candidate = await self._candidate(question, found, showing, sample // len(showings))
                if self._filter is None:
                    return candidate
                verdict = await _judge(self._filter, candidate)
            except RecordError as error:
                failure = failure or error
                continue
            if (verdict.keep, verdict.score) > best_rank:
                best_rank = (verdict.keep, verdict.score)
                best = verdict.replacement if isinstance(verdict.replacement, Answer) else candidate
            if verdict.keep and verdict.score >= self.options.enough_score:
                break
        if best is None:
            assert failure is not None  # no sample gave an answer, so each one failed
            raise failure
        return best

    def _showings(self, question: str, passages: Sequence[Passage]) -> list[Showing]:
        """Return what to show the model, the most promising first."""
        options = self.options
        if options.evidence_sentences is None:
            shown = [(index, heading(passage), one_line(passage.text)) for index, passage in enumerate(passages)]
            return [[one] for one in shown] if options.passages == "apart" else [shown]
        evidence = find_evidence(question, passages, options.evidence_sentences)
        if not evidence:
            raise RecordError(
                "no_evidence", f"the {len(passages)} passages found hold no sentence, only tables or marks"
            )
        if options.passages == "together":
            return [[_show(passages, found) for found in sorted(evidence, key=lambda found: found.passage)]]
        # Where the best passage's sentences lead a small model astray, its best sentence alone often does not.
        narrowest = [found for found in find_evidence(question, passages, 1)[:1] if found != evidence[0]]
        return [[_show(passages, found)] for found in [*evidence[:1], *narrowest, *evidence[1:]]]

    async def _candidate(self, question: Question, found: Sequence[Retrieved], showing: Showing, sample: int) -> Answer:
        """Ask once."""
        texts = [(heading, text) for _, heading, text in showing]
        request = ChatRequest(
            messages=self._messages(texts, question.text),
            max_tokens=self.options.max_tokens,
            temperature=self._temperature(sample),
            sample=sample,
            stop=() if self._chat.instruct else ("\n",),
        )
        response = await self._chat.complete(request)
        return self._read(question, found, [index for index, _, _ in showing], response)

    def _messages(self, texts: Sequence[tuple[str, str]], question: str) -> Messages:
        """Return what is asked, for (heading, text) pairs."""
        return build_messages(self._words, texts, question, instruct=self._chat.instruct)

    def _temperature(self, sample: int) -> float:
        return 0.0 if sample == 0 else self.options.temperature

    def _take_apart(self, written: str, shown: int) -> tuple[str, list[int]]:
        """Return the answer's text without its citations, and the numbers that it cites, up to `shown`."""
        text, numbers = take_citations(_CITATION, written, shown)
        return text.strip(), numbers

    def _read(
        self, question: Question, found: Sequence[Retrieved], shown: Sequence[int], response: ChatResponse
    ) -> Answer:
        if response.finish_reason == "length":
            raise RecordError(
                TRUNCATED,
                f"the answer reached max_tokens ({self.options.max_tokens}); raise it, or ask for shorter answers",
                raw=response.text,
            )
        if response.finish_reason == "refusal":
            raise RecordError(REFUSAL, "the model refused to answer", raw=response.text)
        text, numbers = self._take_apart(response.text, len(shown))
        if not text:
            raise RecordError(EMPTY, "the model gave no text", raw=response.text)
        cited = [shown[number - 1] for number in dict.fromkeys(numbers) if 1 <= number <= len(shown)]
        return Answer(
            id=content_id(question.id, text),
            question=question,
            text=text,
            retrieved=tuple(found),
            cited=tuple(cited or (shown if len(shown) == 1 else ())),
            model=self._chat.name,
            created_at=response.created_at,
        )


async def _judge(filter: Filter, candidate: Answer) -> Verdict:
    outcome = await asyncio.to_thread(filter.check, candidate)
    return outcome if isinstance(outcome, Verdict) else await outcome


def _show(passages: Sequence[Passage], evidence: Evidence) -> tuple[int, str, str]:
    return evidence.passage, heading(passages[evidence.passage]), " ".join(evidence.sentences)
