"""Metrics against sacrebleu and hand computation, figures, prompts, the plugin as the engine sees it."""

import subprocess
import sys

import pytest
from wmsforge_evaluation.bootstrap import Bootstrap
from wmsforge_evaluation.figures import Outcome, loss_drops, table
from wmsforge_evaluation.metrics import chrf, rouge_l
from wmsforge_evaluation.prompts import hit, with_passages
from wmsforge_evaluation.rows import HeldOut, Source

from wmsforge.plugins import load_plugins
from wmsforge.records import Passage, Retrieved
from wmsforge.steps.evaluator import Evaluator


def passage(text="크로스도킹은 바로 출고합니다.", path="manual.txt", start=0, id="0" * 16, **where):
    found = Passage(id=id, document_id="1" * 16, path=path, text=text, start=start, end=start + len(text), **where)
    return Retrieved(passage=found, score=1.0)


def asks(question="뭔가요?", *sources):
    return HeldOut([{"role": "user", "content": question}], "답", sources)


def outcome(loss, tokens=10, end_loss=2.0, end_tokens=2, **answered):
    return Outcome(loss=loss, tokens=tokens, end_loss=end_loss, end_tokens=end_tokens, **answered)


def apart(rows):
    return Bootstrap([[number] for number in range(rows)], samples=200, seed=0)


def test_the_component_is_offered_described_and_light():
    registry = load_plugins().registry
    (offer,) = registry.find("wmsforge-evaluation/two-by-two", ["evaluator"])
    component = registry.load(offer)
    assert issubclass(component, Evaluator)
    assert all(field.description for field in component.Options.model_fields.values())
    heavy = ("torch", "transformers", "kiwipiepy", "numpy")
    code = f"import sys, wmsforge_evaluation.two_by_two; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("answer", "reference", "wanted"),
    [  # sentence_chrf(answer, [reference]).score / 100 of sacrebleu 2.6.0
        ("출고 지시", "출고지시", 1.0),
        ("가", "나", 0.0),
        ("abc", "abd", 0.38888888888888884),
        ("ab", "abcd", 0.47169811320754707),
        (
            "크로스도킹은 바로 출고하는 방식입니다.",
            "입고된 상품을 보관하지 않고 바로 출고하는 방식입니다.",
            0.46422527849861017,
        ),
        ("", "답", 0.0),
        ("네", "입고 검수는 전수 검수와 샘플 검수로 나뉩니다.", 0.0),
    ],
)
def test_chrf_is_that_of_sacrebleu(answer, reference, wanted):
    assert chrf(answer, reference) == pytest.approx(wanted, abs=1e-9)


def test_rouge_l_counts_the_longest_common_subsequence():
    assert rouge_l(["입고", "검수", "등록"], ["입고", "수량", "검수"]) == pytest.approx(2 * 2 / 6)
    assert rouge_l([], ["입고"]) == 0.0


def all_variants(base, tuned):
    return {"base": base, "base_rag": base, "tuned": tuned, "tuned_rag": tuned}


def test_losses_weigh_tokens_and_drops_are_paired():
    base = [outcome(40.0, 10), outcome(10.0, 10), outcome(200.0, 40)]
    tuned = [outcome(20.0, 10, 1.0), outcome(5.0, 10, 1.0), outcome(100.0, 40, 1.0)]
    outcomes = all_variants(base, tuned)
    assert table(outcomes, apart(3))["base"]["loss"].value == pytest.approx(250 / 60)
    drop = loss_drops(outcomes, apart(3))["loss_drop"]
    assert drop.value == pytest.approx(0.5)
    assert drop.high - drop.low == pytest.approx(0, abs=1e-9), "every row drops by half, so no sample differs"


def test_end_tokens_do_not_hide_what_the_content_costs():
    base = [outcome(40.0 + n, 10, end_loss=30.0, end_tokens=2) for n in range(4)]
    tuned = [outcome(10.0 + n, 10, end_loss=0.0, end_tokens=2) for n in range(4)]
    outcomes = all_variants(base, tuned)
    figures, drops = table(outcomes, apart(4)), loss_drops(outcomes, apart(4))
    assert figures["base"]["end_loss"].value == pytest.approx(15.0)
    assert figures["base"]["content_loss"].value == figures["tuned"]["content_loss"].value == pytest.approx(11.5 / 8)
    assert drops["loss_drop"].value > 0.7
    assert drops["content_loss_drop"].value == pytest.approx(0)
    assert drops["end_loss_drop_rag"].value == pytest.approx(1)
    nothing_after = all_variants([outcome(4.0, 4, 0.0, 0)] * 2, [outcome(2.0, 4, 0.0, 0)] * 2)
    assert loss_drops(nothing_after, apart(2))["end_loss_drop"] is None


def test_a_mean_is_over_the_rows_that_have_the_figure():
    rows = [outcome(4.0, groundedness=share, answer="") for share in (0.5, None, 1.0)]
    figures = table({"tuned": rows}, apart(3))["tuned"]
    assert figures["groundedness"].value == pytest.approx(0.75), "one question without passages takes nothing away"
    assert figures["chrf"] is None


def test_a_hit_is_the_passage_that_the_reference_rests_on():
    row = asks("뭔가요?", Source("manual.txt", 5, 30))
    assert hit(row, [passage(start=20)]) is True, "another cut of the same text"
    assert hit(row, [passage(start=30), passage(path="other.txt")]) is False
    assert hit(asks("뭔가요?", Source("a.txt", 0, 1, "2" * 16)), [passage(id="2" * 16)]) is True
    assert hit(asks(), [passage()]) is None


def test_another_row_of_the_same_table_is_no_hit():
    row = asks("뭔가요?", Source("faq.csv", 0, 165, "2" * 16, row=8))
    assert hit(row, [passage(path="faq.csv", row=7)]) is False
    assert hit(row, [passage(path="faq.csv", row=8)]) is True
    paged = asks("뭔가요?", Source("manual.pdf", 0, 100, section="입고", page=3))
    assert hit(paged, [passage(path="manual.pdf", section="입고", page=4)]) is False


def test_passages_stand_above_the_last_question_and_earlier_turns_stay():
    earlier = [{"role": "system", "content": "규칙"}, {"role": "user", "content": "안녕"}]
    earlier += [{"role": "assistant", "content": "네"}]
    row = HeldOut([*earlier, {"role": "user", "content": "뭔가요?"}], "답")
    asked = with_passages(row, [passage("하나"), passage("둘")], "ko")
    assert asked[:3] == earlier
    assert asked[3]["content"] == "다음 문서를 바탕으로 질문에 답하세요.\n\n[1] 하나\n\n[2] 둘\n\n질문: 뭔가요?"
