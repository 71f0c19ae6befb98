"""Writes the answers to several prompts together. Imported when a model opens, for it needs torch.

The prompts are padded on the left and go through the model as one batch; each row has its own
temperature, limit and stop texts. A greedy row comes out as it would alone, up to the rounding of
the device; a sampled one draws from a generator of its own, so it does not depend on its neighbours
either, up to the same rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from wmsforge_solar.loading import Loaded

_TAIL_TOKENS = 16
"""Newest tokens in which a stop text is looked for; its own tokens are fewer."""


@dataclass(frozen=True)
class Prompt:
    """What is asked of one row."""

    tokens: tuple[int, ...]
    max_tokens: int
    temperature: float
    stop: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class Written:
    """What the model wrote for one row."""

    text: str
    tokens: int
    """Tokens written, the end token included."""
    ended: bool
    """Whether the answer came to its end, and not to max_tokens."""


def generate(loaded: Loaded, prompts: Sequence[Prompt], top_p: float, given_up: Callable[[int], bool]) -> list[Written]:
    """Return one answer a prompt, in their order.

    Args:
        given_up: Tells whether no one waits for a row any more; asked between tokens.
    """
    width = max(len(prompt.tokens) for prompt in prompts)
    # (rows, width); each row ends where its prompt ends
    padded = [[loaded.pad_token] * (width - len(prompt.tokens)) + list(prompt.tokens) for prompt in prompts]
    seen = [[0] * (width - len(prompt.tokens)) + [1] * len(prompt.tokens) for prompt in prompts]
    rows = _Rows(loaded.tokenizer, prompts, width, given_up)
    sampler = [_Sampler(prompts, top_p)] if any(prompt.temperature > 0 for prompt in prompts) else []
    with torch.inference_mode():
        out = loaded.model.generate(
            input_ids=torch.tensor(padded, device=loaded.device),
            attention_mask=torch.tensor(seen, device=loaded.device),
            max_new_tokens=max(prompt.max_tokens for prompt in prompts),
            do_sample=False,  # the sampler leaves one token to choose where a row is not greedy
            logits_processor=sampler,
            stopping_criteria=[rows],
            use_cache=True,
        )
    written = out[:, width:].tolist()
    return [
        _read(loaded, prompt, tokens, rows.stopped_at[row])
        for row, (prompt, tokens) in enumerate(zip(prompts, written, strict=True))
    ]


def _read(loaded: Loaded, prompt: Prompt, tokens: list[int], stopped_at: int) -> Written:
    own = tokens[: min(stopped_at, prompt.max_tokens)]
    ends = [place for place, token in enumerate(own) if token in loaded.end_tokens]
    own = own[: ends[0] + 1] if ends else own
    text: str = loaded.tokenizer.decode(own, skip_special_tokens=True)
    cuts = [text.index(stop) for stop in prompt.stop if stop in text]
    return Written(text[: min(cuts)] if cuts else text, len(own), bool(ends or cuts))


class _Rows:
    """A stopping criterion of transformers, which knows when each row is done."""

    def __init__(self, tokenizer: Any, prompts: Sequence[Prompt], width: int, given_up: Callable[[int], bool]) -> None:
        self.stopped_at = [prompt.max_tokens for prompt in prompts]
        """Tokens after which each row was stopped; end tokens are transformers' business."""
        self._tokenizer = tokenizer
        self._prompts = prompts
        self._width = width
        self._given_up = given_up
        self._done = [False] * len(prompts)

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        count = input_ids.shape[1] - self._width
        tails = input_ids[:, max(self._width, input_ids.shape[1] - _TAIL_TOKENS) :].tolist()
        for row, prompt in enumerate(self._prompts):
            if not self._done[row] and (
                count >= prompt.max_tokens or self._given_up(row) or self._holds_stop(prompt, tails[row])
            ):
                self._done[row] = True
                self.stopped_at[row] = count
        return torch.tensor(self._done, device=input_ids.device)

    def _holds_stop(self, prompt: Prompt, tail: list[int]) -> bool:
        if not prompt.stop:
            return False
        text = self._tokenizer.decode(tail, skip_special_tokens=True)
        return any(stop in text for stop in prompt.stop)


class _Sampler:
    """A logits processor of transformers: draws the next token of each row that is not greedy."""

    def __init__(self, prompts: Sequence[Prompt], top_p: float) -> None:
        self._top_p = top_p
        self._drawn = [
            (row, prompt.temperature, torch.Generator().manual_seed(prompt.seed))
            for row, prompt in enumerate(prompts)
            if prompt.temperature > 0
        ]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        scores = scores.clone()  # (rows, vocabulary)
        for row, temperature, generator in self._drawn:
            token = self._draw(scores[row].float() / temperature, generator)
            scores[row] = -torch.inf
            scores[row, token] = 0
        return scores

    def _draw(self, logits: Any, generator: Any) -> int:
        shares, tokens = torch.softmax(logits, dim=-1).sort(descending=True, stable=True)
        # The likeliest tokens that together reach top_p; what stands before a token decides, so the first one is in.
        shares[shares.cumsum(-1) - shares >= self._top_p] = 0
        # On the CPU, so that a seed means the same on every device.
        place = torch.multinomial(shares.cpu(), 1, generator=generator)
        return int(tokens[place.item()])
