"""The verdict of the parity gate: what breaks a limit stops the run, and says which prompt shows it."""

from wmsforge_export.gate import summary
from wmsforge_export.parity import MergeParity, ParityOptions, judge

from wmsforge.errors import StepError


def prompt(question, **figures):
    good = {
        "question": question,
        "template_equal": True,
        "tokens_equal": True,
        "tokens": 10,
        "kl": 0.001,
        "loss_before": 1.0,
        "loss_after": 1.0,
        "first_divergence": None,
        "similarity": 1.0,
        "answer_before": "바로 출고합니다.",
        "answer_after": "바로 출고합니다.",
        "prompt_before": "",
        "prompt_after": "",
    }
    return {**good, **figures}


def figures(*prompts, **over):
    good = {
        "template_equal": True,
        "tokens_equal": True,
        "kl": 0.001,
        "perplexity_ratio": 1.001,
        "similarity": 1.0,
        "by_prompt": list(prompts) or [prompt("크로스도킹이 뭔가요?")],
    }
    return {**good, **over}


def verdict(told, options=None, tmp_path="parity.json"):
    try:
        judge(told, options or ParityOptions(), "fp8", "merged -> fp8", tmp_path)
    except StepError as error:
        return str(error)
    return ""


def test_a_model_that_answers_as_before_passes():
    assert verdict(figures()) == ""


def test_kl_over_the_limit_names_the_prompt_with_both_answers_and_the_option():
    worst = prompt("반품은?", kl=0.4, answer_after="모릅니다.")
    text = verdict(figures(worst, prompt("재고는?"), kl=0.2))
    assert text == (
        "Step 'fp8': merged -> fp8 changed the model: KL divergence in nats a token 0.2, at most 0.05. "
        "Prompt '반품은?' shows it: before '바로 출고합니다.', after '모릅니다.'.\n"
        "All prompts: parity.json. Allow it: --set steps.fp8.parity.kl=..."
    )


def test_another_template_is_shown_by_its_text_and_no_option_allows_it():
    other = prompt("반품은?", template_equal=False, prompt_before="<bos>User: ", prompt_after="User: ")
    text = verdict(figures(prompt("재고는?"), other, template_equal=False, kl=None))
    assert "the chat template renders other bytes; KL divergence in nats a token unknown" in text
    assert "Prompt '반품은?' shows it: before '<bos>User:', after 'User:'." in text
    assert "--set" not in text


def test_figures_that_are_missing_or_not_finite_never_pass():
    assert "KL divergence in nats a token unknown" in verdict(figures(kl=None))
    assert "perplexity ratio unknown" in verdict(figures(perplexity_ratio=None))


def test_the_perplexity_ratio_shows_the_prompt_that_lost_most():
    lost = prompt("반품은?", loss_after=3.0)
    text = verdict(figures(prompt("재고는?", kl=0.3), lost, perplexity_ratio=1.2))
    assert "perplexity ratio 1.2, at most 1.03. Prompt '반품은?'" in text


def test_answers_less_alike_than_asked_for_stop_the_run():
    unlike = prompt("반품은?", similarity=0.1, answer_after="네.")
    text = verdict(figures(prompt("재고는?"), unlike, similarity=0.5), ParityOptions(similarity=0.6))
    assert "similarity of answers 0.5, at least 0.6. Prompt '반품은?'" in text


def test_a_server_that_reads_another_prompt_stops_the_run():
    answer = {"question": "반품은?", "similarity": 0.9, "answer_before": "네.", "answer_after": "네"}
    served = {"server": "llama.cpp", "template_equal": False, "tokens_equal": True, "similarity": 0.9}
    text = verdict(figures(served={**served, "by_prompt": [answer]}))
    assert "llama.cpp reads another prompt than the model was trained on. Prompt '반품은?'" in text
    unknown = {**served, "template_equal": None, "tokens_equal": None, "by_prompt": [answer]}
    assert verdict(figures(served=unknown)) == "", "a server that does not tell cannot be wrong about it"


def test_a_merge_is_held_to_more_than_a_quantisation():
    assert MergeParity().kl < ParityOptions().kl
    assert MergeParity().perplexity_ratio < ParityOptions().perplexity_ratio == 1.03


def test_the_summary_has_no_texts():
    told = figures(served={"server": "llama.cpp", "by_prompt": [1]})
    assert "by_prompt" not in summary(told)
    assert summary(told)["served"] == {"server": "llama.cpp"}
