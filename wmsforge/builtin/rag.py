"""Answer generator `rag`: retrieve passages, answer from them alone, say which ones hold the answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from wmsforge.builtin.rag_prompt import build_messages, wording
from wmsforge.errors import RecordError
from wmsforge.options import ChatModelRef, FilterRef, Options, RetrieverRef
from wmsforge.records import Answer, Question, Retrieved, content_id
from wmsforge.steps.answer_generator import AnswerGenerator
from wmsforge.steps.chat_model import Chat, ChatRequest, ChatResponse
from wmsforge.steps.filter import Filter, Verdict
from wmsforge.steps.retriever import Retriever

_CITATION = re.compile(r"\s*\[(\d{1,2})\]")


class RetrievalAnswers(AnswerGenerator):
    """Plays the consultant. With `samples` above 1 the best one by `choose_by` becomes the answer."""

    class Options(Options):
        retriever: RetrieverRef = Field(description="The retriever step (or inline retriever) to search.")
        model: ChatModelRef = Field(description="The chat model that answers.")
        top_k: int = Field(default=3, ge=1, le=50, description="Passages to retrieve for a question.")
        prompt_passages: Literal["together", "apart"] = Field(
            default="together",
            description="'together' shows the model all passages at once; 'apart' asks once a passage and keeps the "
            "best answer by `choose_by`, which small models do better at.",
        )
        max_tokens: int = Field(default=500, ge=1, description="Tokens an answer may have.")
        samples: int = Field(default=1, ge=1, le=32, description="Answers to draw; the first is greedy.")
        temperature: float = Field(default=0.7, ge=0, le=2, description="Temperature of the answers after the first.")
        choose_by: FilterRef | None = Field(
            default=None, description="Filter whose score chooses among several answers, such as 'grounded'."
        )

        @model_validator(mode="after")
        def _several_need_a_judge(self) -> RetrievalAnswers.Options:
            if self.choose_by is None and (self.samples > 1 or self.prompt_passages == "apart"):
                raise ValueError("several candidates need 'choose_by', the filter that chooses among them")
            return self

    options: Options

    async def open(self) -> None:
        self._retriever: Retriever = await self.context.retriever(self.options.retriever)
        self._chat: Chat = await self.context.chat(self.options.model)
        chooser = self.options.choose_by
        self._filter: Filter | None = await self.context.filter(chooser) if chooser else None
        self._words = wording(self.context.language)

    async def answer(self, question: Question) -> Answer:
        """See `AnswerGenerator.answer`.

        Raises:
            RecordError: `nothing_retrieved`, `truncated_answer`, `empty_answer` or `refused`.
        """
        found = tuple(await self._retriever.search(question.text, self.options.top_k))
        if not found:
            raise RecordError("nothing_retrieved", f"no passage matches {question.text!r}")
        groups = [tuple(range(len(found)))]
        if self.options.prompt_passages == "apart":
            groups = [(index,) for index in range(len(found))]
        outcomes = await asyncio.gather(
            *(
                self._candidate(question, found, group, sample)
                for group in groups
                for sample in range(self.options.samples)
            ),
        )
        candidates = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
        if not candidates:
            raise next(outcome for outcome in outcomes if isinstance(outcome, RecordError))
        return await self._choose(candidates)

    async def _candidate(
        self, question: Question, found: Sequence[Retrieved], group: tuple[int, ...], sample: int
    ) -> Answer | RecordError:
        """Ask once with the passages of `group` (indexes into `found`)."""
        passages = [found[index].passage for index in group]
        request = ChatRequest(
            messages=build_messages(self._words, passages, question.text, instruct=self._chat.instruct),
            max_tokens=self.options.max_tokens,
            temperature=0.0 if sample == 0 else self.options.temperature,
            sample=sample,
        )
        try:
            response = await self._chat.complete(request)
            return self._read(question, found, group, response)
        except RecordError as error:
            return error

    def _read(
        self, question: Question, found: Sequence[Retrieved], group: tuple[int, ...], response: ChatResponse
    ) -> Answer:
        if response.finish_reason == "length":
            raise RecordError(
                "truncated_answer", f"the answer reached max_tokens ({self.options.max_tokens})", raw=response.text
            )
        if response.finish_reason == "refusal":
            raise RecordError("refused", "the model refused to answer", raw=response.text)
        numbers = [int(number) for number in _CITATION.findall(response.text)]
        text = _CITATION.sub("", response.text).strip()
        if not text:
            raise RecordError("empty_answer", "the model gave no text", raw=response.text)
        cited = [group[number - 1] for number in dict.fromkeys(numbers) if 1 <= number <= len(group)]
        return Answer(
            id=content_id(question.id, text),
            question=question,
            text=text,
            retrieved=tuple(found),
            cited=tuple(cited or (group if len(group) == 1 else ())),
            model=self._chat.name,
            created_at=response.created_at,
        )

    async def _choose(self, candidates: Sequence[Answer]) -> Answer:
        if self._filter is None:
            return candidates[0]
        best, best_rank = candidates[0], (False, -1.0)
        for candidate in candidates:
            verdict = await self._judge(candidate)
            if (verdict.keep, verdict.score) > best_rank:
                replaced = verdict.replacement
                best = replaced if isinstance(replaced, Answer) else candidate
                best_rank = (verdict.keep, verdict.score)
        return best

    async def _judge(self, candidate: Answer) -> Verdict:
        assert self._filter is not None  # several candidates have a judge
        outcome = await asyncio.to_thread(self._filter.check, candidate)
        return outcome if isinstance(outcome, Verdict) else await outcome
