"""A quote: what one step's calls of one model may come to."""

from __future__ import annotations

from dataclasses import dataclass

from wmsforge.steps.expect import Range


@dataclass(frozen=True)
class Quote:
    """Calls, tokens and cost as intervals. Calls that the ledger answers are not paid again."""

    step: str
    model: str
    calls: Range
    prompt_tokens: Range
    answer_tokens: Range
    """Thoughts count too."""
    usd: Range | None
    """None if the price is unknown."""
    stored: int = 0
    """Calls of this step and model in the ledger. Which of them fit no one knows before: they lower `low` alone."""

    @property
    def tokens(self) -> Range:
        return self.prompt_tokens + self.answer_tokens

    def less(self, stored: int) -> Quote:
        """Return the quote with the calls taken off that the ledger may answer."""
        if not stored:
            return self
        left = max(0.0, self.calls.low - stored)
        share = left / self.calls.low if self.calls.low else 0.0

        def lowered(whole: Range) -> Range:
            return Range(whole.low * share, whole.high)

        return Quote(
            self.step,
            self.model,
            Range(left, self.calls.high),
            lowered(self.prompt_tokens),
            lowered(self.answer_tokens),
            None if self.usd is None else lowered(self.usd),
            stored,
        )
