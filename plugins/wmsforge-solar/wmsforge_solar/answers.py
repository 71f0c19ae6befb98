"""Answer generator `solar-rag`: the consultant who answers from passages and names the sources at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from wmsforge.builtin.rag import RetrievalAnswers
from wmsforge.builtin.rag_prompt import Messages
from wmsforge.errors import RecordError, StepError
from wmsforge.records import Answer, Question, Retrieved
from wmsforge.steps.chat_model import ChatResponse
from wmsforge_solar.prompt import build_messages, wording
from wmsforge_solar.sources import source_line, take_apart

OTHER_SAMPLES = 0.7
"""Temperature of the samples after the first, where none is set."""


class SolarAnswers(RetrievalAnswers):
    """`rag` with SOLAR's wording, over any chat model. A base model is shown examples, as `rag` does.

    The line of sources goes into `Answer.source_line`, so that filters judge the answer's own words;
    datasets put it below the text.
    """

    class Options(RetrievalAnswers.Options):
        temperature: float | None = Field(  # type: ignore[assignment]  # unset means something here
            default=None,
            ge=0,
            le=2,
            description="Temperature of the answers. Unset, the first is greedy and further samples are drawn at 0.7.",
        )
        system_prompt: str | None = Field(
            default=None,
            min_length=1,
            description="Your own system prompt. It should ask to cite passages like [1]; the passages and the "
            "question follow in the user's turn.",
        )
        sources: Literal["line", "none"] = Field(
            default="line",
            description="'line' ends an answer in the dataset with '출처: [1] manual.txt, 크로스도킹', made from the "
            "passages it cites; with 'none' they are in the metadata alone.",
        )
        require_citation: bool = Field(
            default=False, description="Reject answers that cite no passage although several were shown."
        )
        min_chars: int = Field(default=10, ge=0, description="Least characters of an answer, sources aside.")

    options: Options

    async def open(self) -> None:
        """Open retriever and model.

        Raises:
            StepError: If a base model is given a system prompt, which it cannot follow.
        """
        await super().open()
        self._wording = wording(self.context.language)
        if self.options.system_prompt is not None and not self._chat.instruct:
            raise StepError(
                f"Step {self.context.step!r}: 'system_prompt' is set, and {self._chat.name!r} is a base model, which "
                f"follows no rules.\nLeave system_prompt out, or give the model instruct: true if it is tuned."
            )

    def _messages(self, texts: Sequence[tuple[str, str]], question: str) -> Messages:
        if not self._chat.instruct:
            return super()._messages(texts, question)
        return build_messages(self._wording, self.options.system_prompt, texts, question)

    def _temperature(self, sample: int) -> float:
        if self.options.temperature is not None:
            return self.options.temperature
        return 0.0 if sample == 0 else OTHER_SAMPLES

    def _take_apart(self, written: str, shown: int) -> tuple[str, list[int]]:
        return take_apart(written, shown)

    def _read(
        self, question: Question, found: Sequence[Retrieved], shown: Sequence[int], response: ChatResponse
    ) -> Answer:
        answer = super()._read(question, found, shown, response)
        unknown = answer.text.startswith(self._wording.unknown.rstrip("."))
        chars = len(answer.text)
        if chars < self.options.min_chars:
            raise RecordError(
                "too_short",
                f"the answer has {chars} characters, at least {self.options.min_chars} (min_chars); "
                "ask for fuller answers in system_prompt, or lower min_chars",
                raw=response.text,
            )
        if unknown:
            return answer.model_copy(update={"cited": ()})  # what says nothing rests on nothing
        if self.options.require_citation and not answer.cited:
            raise RecordError(
                "no_citation", f"the answer cites none of the {len(shown)} passages it was shown", raw=response.text
            )
        line = source_line(self._wording, answer.retrieved, answer.cited) if self.options.sources == "line" else ""
        return answer.model_copy(update={"source_line": line})
