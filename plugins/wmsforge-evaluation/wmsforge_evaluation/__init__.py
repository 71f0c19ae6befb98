"""Whether the tuned model is better: measured with and without retrieval, with intervals, side by side."""

from wmsforge.hookspecs import Register, RegisterEnvironment, hookimpl


@hookimpl
def register_evaluators(register: Register) -> None:
    register(
        "two-by-two",
        "wmsforge_evaluation.two_by_two:TwoByTwo",
        summary="Base, base with passages, tuned, tuned with passages: losses, answers, intervals, a report.",
    )


@hookimpl
def register_environments(register: RegisterEnvironment) -> None:
    register(
        "evaluation",
        "wmsforge_evaluation:locks",
        extra="measure",
        summary="torch and transformers, to score reference answers and to write answers.",
    )
