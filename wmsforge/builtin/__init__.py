"""What the core itself offers, through the same hooks as anyone's plugin."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_question_generators(register: Register) -> None:
    register(
        "personas",
        "wmsforge.builtin.personas:PersonaQuestions",
        summary="Plays the personas of a YAML file over topics, with an instruction-tuned model.",
    )
    register(
        "question-bank",
        "wmsforge.builtin.question_bank:QuestionBank",
        summary="Questions people wrote, from a CSV, JSON or YAML file.",
    )


@hookimpl
def register_answer_generators(register: Register) -> None:
    register(
        "rag",
        "wmsforge.builtin.rag:RetrievalAnswers",
        summary="Answers from retrieved passages and cites them; best of several samples when asked.",
    )


@hookimpl
def register_filters(register: Register) -> None:
    register("language", "wmsforge.builtin.language:LanguageFilter", summary="Drops text in a wrong or broken script.")
    register("length", "wmsforge.builtin.length:LengthFilter", summary="Drops answers that are too short or long.")
    register(
        "degenerate",
        "wmsforge.builtin.degenerate:DegenerateFilter",
        summary="Drops loops, cut-off sentences and text of the prompt.",
    )
    register(
        "dont-know", "wmsforge.builtin.dont_know:DontKnowFilter", summary="Drops answers that say they do not know."
    )


@hookimpl
def register_exporters(register: Register) -> None:
    register(
        "messages-json",
        "wmsforge.builtin.messages_json:MessagesJson",
        summary="One JSON list of messages and metadata.",
    )
    register("jsonl", "wmsforge.builtin.jsonl:Jsonl", summary="The same rows, one JSON object a line.")
    register("alpaca", "wmsforge.builtin.alpaca:Alpaca", summary="instruction, input, output.")
    register("sharegpt", "wmsforge.builtin.sharegpt:ShareGpt", summary="conversations of human and gpt turns.")
