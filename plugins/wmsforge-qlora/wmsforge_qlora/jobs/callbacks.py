"""What happens during a training beside the training itself: progress, guards, marks, the last evaluation."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from wmsforge.env.worker import Report
from wmsforge_qlora.jobs.checkpoints import mark_complete
from wmsforge_qlora.jobs.guard import check_layout


class Progress(TrainerCallback):  # type: ignore[misc]
    """Tells step, losses, tokens per second and the seconds left."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._facts: dict[str, Any] = {}
        self._began = 0.0
        self._first_step = 0
        self._first_tokens = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began = time.monotonic()
        self._first_step, self._first_tokens = state.global_step, int(state.num_input_tokens_seen)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        for name in ("loss", "eval_loss"):
            if logs and name in logs:
                self._facts[name] = round(float(logs[name]), 4)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step:
            self._tell(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._tell(state)

    def _tell(self, state: Any) -> None:
        seconds = time.monotonic() - self._began
        done = state.global_step - self._first_step
        if done:
            self._facts["tokens_per_s"] = round((int(state.num_input_tokens_seen) - self._first_tokens) / seconds)
            self._facts["seconds_left"] = round(seconds / done * (state.max_steps - state.global_step))
        self._report.progress(state.global_step, state.max_steps, unit="steps", **self._facts)


class Stop(TrainerCallback):  # type: ignore[misc]
    """Ends the training after the current step, with a checkpoint, when the run is cancelled."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.stopped = False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if self._report.stop_requested and state.global_step < state.max_steps:
            self.stopped = True
            control.should_save = control.should_training_stop = True
        return control


class LastEvaluation(TrainerCallback):  # type: ignore[misc]
    """Evaluates after the last step too: the final weights are candidates for the best."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True
        return control


class Guard(TrainerCallback):  # type: ignore[misc]
    """Stops at the first step whose gradients would be wrong."""

    def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        check_layout(model)


class Mark(TrainerCallback):  # type: ignore[misc]
    """Marks each checkpoint as whole once all of it is written."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            mark_complete(Path(args.output_dir) / f"checkpoint-{state.global_step}")
