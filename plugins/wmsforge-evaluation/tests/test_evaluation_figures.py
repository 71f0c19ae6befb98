"""Metrics against hand computation, intervals, the judge, the report, the plugin as the engine sees it."""

import random
import subprocess
import sys

import pytest
from wmsforge_evaluation.bootstrap import bootstrap
from wmsforge_evaluation.figures import Outcome, loss_drop, table
from wmsforge_evaluation.judge import count, judge
from wmsforge_evaluation.metrics import chrf, rouge_l
from wmsforge_evaluation.prompts import hit, plain, with_passages
from wmsforge_evaluation.report import Example, render_report
from wmsforge_evaluation.rows import HeldOut, Source

from wmsforge.plugins import load_plugins
from wmsforge.records import Passage, Retrieved
from wmsforge.steps.chat_model import ChatResponse
from wmsforge.steps.evaluator import Evaluator


def passage(text="크로스도킹은 바로 출고합니다.", path="manual.txt", start=0):
    return Retrieved(
        passage=Passage(id="0" * 16, document_id="1" * 16, path=path, text=text, start=start, end=start + len(text)),
        score=1.0,
    )


def outcome(loss, tokens=10, chrf=0.5):
    return Outcome(loss=loss, tokens=tokens, answer="", chrf=chrf, rouge_l=0.5, groundedness=None)


def test_the_component_is_offered_described_and_light():
    registry = load_plugins().registry
    (offer,) = registry.find("wmsforge-evaluation/two-by-two", ["evaluator"])
    component = registry.load(offer)
    assert issubclass(component, Evaluator)
    assert all(field.description for field in component.Options.model_fields.values())
    heavy = ("torch", "transformers", "kiwipiepy", "numpy")
    code = f"import sys, wmsforge_evaluation.two_by_two; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_chrf_of_a_hand_computed_pair():
    assert chrf("출고 지시", "출고지시") == pytest.approx(1.0)
    assert chrf("가", "나") == 0.0
    # "abc" against "abd": unigrams 2/3, bigrams 1/2, trigrams 0/1; longer n-grams are in neither
    assert chrf("abc", "abd") == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    # precision (1 + 1) / 2 over the lengths that exist, recall (2/4 + 1/3 + 0 + 0) / 4: F2 weighs the recall
    precision, recall = (1 + 1 + 0 + 0) / 4, (2 / 4 + 1 / 3 + 0 + 0) / 4
    assert chrf("ab", "abcd") == pytest.approx(5 * precision * recall / (4 * precision + recall))


def test_rouge_l_counts_the_longest_common_subsequence():
    assert rouge_l(["입고", "검수", "등록"], ["입고", "수량", "검수"]) == pytest.approx(2 * 2 / 6)
    assert rouge_l([], ["입고"]) == 0.0


def interval_of(values, seed=0):
    return bootstrap(len(values), lambda n: sum(values[i] for i in n) / len(n), samples=200, seed=seed)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    drawn = random.Random(0)
    found = [interval_of([drawn.gauss(5, 1) for _ in range(40)]) for _ in range(100)]
    assert 0.88 <= sum(one.low < 5 < one.high for one in found) / 100 <= 1
    wide, narrow = (interval_of([drawn.gauss(5, 1) for _ in range(rows)]) for rows in (20, 500))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_losses_weigh_tokens_and_drops_are_paired():
    base = [outcome(40.0, 10), outcome(10.0, 10), outcome(200.0, 40)]
    tuned = [outcome(20.0, 10), outcome(5.0, 10), outcome(100.0, 40)]
    outcomes = {"base": base, "tuned": tuned}
    figures = table(outcomes, samples=200, seed=0)
    assert figures["base"]["loss"].value == pytest.approx(250 / 60)
    assert figures["base"]["groundedness"] is None
    drop = loss_drop(outcomes, samples=200, seed=0)
    assert drop.value == pytest.approx(0.5)
    assert drop.high - drop.low == pytest.approx(0, abs=1e-9), "every row drops by half, so no sample differs"


def test_a_hit_overlaps_what_the_reference_rests_on():
    row = HeldOut("", "뭔가요?", "답", (Source("manual.txt", 5, 30, ""),))
    assert hit(row, [passage(start=20)]) is True
    assert hit(row, [passage(start=30), passage(path="other.txt")]) is False
    assert hit(HeldOut("", "뭔가요?", "답"), [passage()]) is None


def test_passages_stand_above_the_question_and_the_system_prompt_stays():
    row = HeldOut("규칙", "뭔가요?", "답")
    assert plain(row) == [{"role": "system", "content": "규칙"}, {"role": "user", "content": "뭔가요?"}]
    content = with_passages(row, [passage("하나"), passage("둘")], "ko")[1]["content"]
    assert content == "다음 문서를 바탕으로 질문에 답하세요.\n\n[1] 하나\n\n[2] 둘\n\n질문: 뭔가요?"


class Judge:
    """Answers by a rule over the two answers as they stand in the prompt."""

    name = "judge"

    def __init__(self, rule):
        self.rule = rule

    async def complete(self, request):
        text = request.messages[-1].content
        a, b = text.partition("답변 A: ")[2].split("\n\n답변 B: ")
        return ChatResponse(text=self.rule(a, b))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (lambda a, b: '{"better": "A"}' if len(a) > len(b) else '{"better": "B"}', ("win", False)),
        (lambda a, b: '{"better": "A"}', ("tie", True)),
        (lambda a, b: '{"better": "tie"}', ("tie", False)),
        (lambda a, b: "모르겠습니다", None),
    ],
)
async def test_a_win_counts_only_where_both_orders_agree(rule, expected):
    verdict = await judge(Judge(rule), "질문", "기준", "짧다", "훨씬 길다")
    assert verdict == expected
    judged = count([verdict, ("loss", False)])
    assert judged.losses == 1
    assert judged.wins == (expected == ("win", False))
    assert judged.failed == (expected is None)


def test_the_report_escapes_and_shows_everything():
    outcomes = {"base": [outcome(40.0)] * 3, "tuned": [outcome(20.0)] * 3}
    example = Example("<b>크로스도킹</b>이 뭔가요?", "기준 답", {"base": "모름 <script>", "tuned": "바로 출고"})
    page = render_report(
        title="비교",
        figures=table(outcomes, samples=100, seed=0),
        facts=[("rows", "3")],
        examples=[example],
        notes=["읽는 법"],
    )
    assert "<script>" not in page
    assert "&lt;b&gt;크로스도킹&lt;/b&gt;" in page
    assert page.count("<svg") == 3, "loss, chrF and ROUGE-L; groundedness was not measured"
    assert "4.000 [4.000, 4.000]" in page
    assert "not measured" in page
