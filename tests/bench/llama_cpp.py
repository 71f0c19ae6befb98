"""How many tokens a second the embedded model writes, with one slot and with more.

    python tests/bench/llama_cpp.py --slots 1 4 8

Asks the bundled Gemma 3 270M for texts of `--tokens` tokens through the plugin's own chat model. Prints a
table, then one JSON object as the last line. Run it alone: the decoder wants every core.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

from wmsforge_llama_cpp.chat_model import LlamaCppModel

from wmsforge.steps.chat_model import ChatRequest, Message
from wmsforge.testing import LocalContext

PROMPT = (
    "다음은 물류센터 업무를 번호를 붙여 자세히 설명한 글입니다.\n1. 입고: 차량이 도착하면 예정 정보를 확인합니다. 2."
)


async def tokens_per_second(slots: int, tokens: int) -> float:
    """Return the generated tokens a second when every slot writes two texts; a first round warms up."""
    with tempfile.TemporaryDirectory() as folder:
        options = LlamaCppModel.Options(concurrency=slots, context_tokens=1024)
        model = LlamaCppModel(options, LocalContext(Path(folder)))
        await model.open()
        try:
            rounds = []
            for count in (slots, 2 * slots):
                start = time.perf_counter()
                requests = [
                    ChatRequest(
                        messages=(Message(role="user", content=PROMPT),),
                        max_tokens=tokens,
                        temperature=0.8,
                        sample=sample,
                    )
                    for sample in range(count)
                ]
                responses = await asyncio.gather(*map(model.complete, requests))
                written = sum(response.usage.completion_tokens for response in responses)
                rounds.append(written / (time.perf_counter() - start))
            return rounds[-1]
        finally:
            await model.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--tokens", type=int, default=120)
    arguments = parser.parse_args()
    figures = {slots: asyncio.run(tokens_per_second(slots, arguments.tokens)) for slots in arguments.slots}
    for slots, figure in figures.items():
        print(f"{slots:3} slots{figure:8.1f} tokens/s")
    print(json.dumps({str(slots): round(figure, 1) for slots, figure in figures.items()}))


if __name__ == "__main__":
    main()
