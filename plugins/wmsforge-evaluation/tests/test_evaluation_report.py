"""The judge, and the page as a person reads it."""

import pytest
from wmsforge_evaluation.bootstrap import Bootstrap
from wmsforge_evaluation.figures import Outcome
from wmsforge_evaluation.judge import Opinion, count, judge
from wmsforge_evaluation.report import Example, render_report
from wmsforge_evaluation.results import summarise
from wmsforge_evaluation.rows import HeldOut
from wmsforge_evaluation.subject import Subject
from wmsforge_evaluation.wording import about, notes

from wmsforge.steps.chat_model import ChatResponse

APART = Bootstrap([[0], [1], [2]], samples=100, seed=0)


class Judge:
    """Answers by a rule over the two answers as they stand in the prompt."""

    name = "judge"

    def __init__(self, rule, label="답변"):
        self.rule, self.label, self.rules = rule, label, ""

    async def complete(self, request):
        self.rules, text = (message.content for message in request.messages[:2])
        a, b = text.partition(f"{self.label} A: ")[2].split(f"\n\n{self.label} B: ")
        return ChatResponse(text=self.rule(a, b))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (lambda a, b: '{"better": "A"}' if len(a) > len(b) else '{"better": "B"}', Opinion(1, swayed=False)),
        (lambda a, b: '{"better": "B"}' if len(a) > len(b) else '{"better": "A"}', Opinion(-1, swayed=False)),
        (lambda a, b: '{"better": "A"}', Opinion(0, swayed=True)),
        (lambda a, b: '{"better": "tie"}', Opinion(0, swayed=False)),
        (lambda a, b: "모르겠습니다", None),
    ],
)
async def test_a_win_counts_only_where_both_orders_agree(rule, expected):
    assert await judge(Judge(rule), "ko", "질문", "기준", "짧다", "훨씬 길다") == expected


@pytest.mark.parametrize(("language", "label", "says"), [("ko", "답변", "두 답변"), ("de", "Answer", "Choose which")])
async def test_the_judge_is_asked_in_the_language_of_the_recipe(language, label, says):
    asked = Judge(lambda a, b: '{"better": "tie"}', label)
    await judge(asked, language, "질문", "기준", "하나", "둘")
    assert asked.rules.startswith(says)


def test_opinions_are_shares_with_intervals():
    won, swayed = Opinion(1, swayed=False), Opinion(0, swayed=True)
    bootstrap = Bootstrap([[n] for n in range(6)], samples=100, seed=0)
    judged = count([won, won, swayed, Opinion(-1, swayed=False), None, None], asked=5, bootstrap=bootstrap)
    assert (judged.better.value, judged.worse.value) == (0.5, 0.25)
    assert judged.better.low < 0.5 < judged.better.high
    assert (judged.pairs, judged.swayed, judged.failed) == (4, 1, 1)


def results(*, chose=3, best=("best_step", 8), judged=False, quantised=False, grounded=(0.5, 0.5, 0.5)):
    row = HeldOut([{"role": "user", "content": "뭔가요?"}], "답")
    training = {"steps": 10, "steps_planned": 20, **dict([best])}
    subject = Subject("models/tuned", "models/base", None, [row] * 3, chose, training, quantised)
    each = [Outcome(20.0, 10, 2.0, 2, "답", 0.5, 0.5, share) for share in grounded]
    outcomes = dict.fromkeys(("base", "base_rag", "tuned", "tuned_rag"), each)
    opinions = {"tuned": count([Opinion(1, swayed=False)] * 3, 3, APART)} if judged else {}
    return summarise(subject, outcomes, [True, False, None], APART, "gemini" if judged else "", opinions)


def test_the_report_says_which_rows_chose_the_checkpoint():
    lines, text = dict(about(results())), " ".join(notes(results()))
    chose = "the checkpoint: all were the validation rows that chose it (step 8 of 20), and ended the training early"
    assert lines["what else they decided"] == chose
    assert "lower than on new rows" in text
    assert "option rows" in text
    free = results(chose=0)
    assert dict(about(free))["what else they decided"].startswith("nothing")
    assert "validation rows" not in " ".join(notes(free))
    assert dict(about(results(chose=None)))["what else they decided"].startswith("unknown")


def test_the_report_says_what_its_figures_cannot():
    text = " ".join(notes(results(quantised=True, grounded=(0.5, None, 0.5))))
    for said in ("hits by construction", "3 groups only", "2 of 3 rows", "measured in software", "end tokens"):
        assert said in text


def test_rates_have_intervals_and_the_judge_is_told_in_words():
    found = results(judged=True)
    facts, lines = found.facts(), dict(about(found))
    assert facts["hit_rate"] == [0.5, 0.0, 1.0]
    assert facts["hit_rate_rows"] == 2
    assert facts["judge_better"] == [1.0, 1.0, 1.0]
    assert lines["retrieval hit rate"] == "50.0% (0.0% to 100.0%), of 2 rows"
    told = lines["tuned against base, by gemini"]
    assert told == "better in 100.0% (100.0% to 100.0%) and worse in 0.0% (0.0% to 0.0%) of 3 pairs"


def page(found, *examples):
    return render_report(
        language="ko",
        facts=about(found),
        drops=found.drops,
        figures=found.figures,
        examples=examples,
        notes=notes(found),
    )


def test_the_page_escapes_and_shows_everything():
    example = Example("<b>크로스도킹</b>이 뭔가요?", "기준 답", {"base": "모름 <script>", "tuned": "바로 출고"})
    text = page(results(grounded=(None,) * 3), example)
    assert "<script>" not in text
    assert "&lt;b&gt;크로스도킹&lt;/b&gt;" in text
    assert text.count("<svg") == 4, "the losses, chrF and ROUGE-L; groundedness was not measured"
    assert "2.000<small>2.000 to 2.000</small>" in text
    assert "not measured" in text


def test_the_page_names_its_languages_and_keeps_line_breaks():
    text = page(results(), Example("뭔가요?", "", {"base": "하나\n둘"}))
    assert "<html lang='en'>" in text
    assert "<td lang='ko'>하나\n둘</td>" in text
    assert ".answers td { white-space: pre-wrap" in text
    assert "width=device-width" in text
