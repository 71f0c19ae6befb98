"""The environments that the steps need: built as their locks say, or can they be built."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wmsforge.doctor.python import check_python
from wmsforge.env.build import differences
from wmsforge.env.locks import Lock, find_lock
from wmsforge.env.resolve import CannotTellError, resolver
from wmsforge.errors import PluginError
from wmsforge.options import EnvPython
from wmsforge.recipe.environments_used import UsedEnvironment
from wmsforge.steps.machine import Finding, Level

AT_ONCE = 4
"""Locks that are resolved at once; most of it is waiting for the index."""
SHOWN = 3
Answer = tuple[str, float]
"""Why a lock does not resolve, empty if it does, and the seconds that took."""


def check_environments(
    used: Sequence[UsedEnvironment], *, resolve: bool, say: Callable[[str], None]
) -> Iterator[Finding]:
    """Yield the state of each environment.

    Args:
        resolve: Ask the package index for those that are to be built.
        say: Told before the index is asked.
    """
    unbuilt = [one for one in used if one.lock and not one.built]
    answers: Mapping[str, Answer] = {}
    no = "--no-resolve"
    if resolve and unbuilt:
        try:
            answers, no = _resolve(unbuilt, say), ""
        except CannotTellError as error:
            no = str(error)
    if not used:
        yield Finding("ok", "no step needs one")
    for one in used:
        if one.problem:
            what, *remedy = one.problem.splitlines()
            yield Finding("error", f"{_steps(one)}: {what}", " ".join(remedy))
        elif one.lock is None:
            yield from _own(one)
        elif one.built:
            yield _built(one)
        else:
            yield _unbuilt(one, answers, no)


def _own(one: UsedEnvironment) -> Iterator[Finding]:
    """Yield what is to be said of a Python that is used as it is."""
    is_path = isinstance(one.env, EnvPython)
    python = one.env.python if isinstance(one.env, EnvPython) else Path(sys.executable)
    option = f"{one.name} for {_steps(one)}, env: " + (f"{{python: {python}}}" if is_path else "current")
    try:
        lock = find_lock(one.offer, "auto") if one.offer else None
    except PluginError:  # a Python of one's own is the way for a machine that the plugin has no lock for
        lock = None
    return check_python(python, option, lock)


def _built(one: UsedEnvironment) -> Finding:
    assert one.lock and one.built  # the caller looked
    problems = differences(one.built.python, one.lock)
    if not problems:
        return Finding("ok", f"{_name(one)}: built, as its lock says")
    remedy = f"wmsforge env remove {one.name} && wmsforge env build {one.name} --for {one.kind}"
    return Finding("error", f"{_name(one)}: is not as its lock says: {'; '.join(problems[:SHOWN])}", remedy)


def _unbuilt(one: UsedEnvironment, answers: Mapping[str, Answer], no: str) -> Finding:
    """Return whether it can be built.

    Args:
        no: Why the index was not asked, and on a second line the remedy where that was not the user's wish.
    """
    assert one.lock  # the caller looked
    state = f"{_name(one)}: to be built by the run"
    if no:
        why, _, instead = no.partition("\n")
        level: Level = "warning" if instead else "ok"
        return Finding(level, f"{state}; the index was not asked: {why}", instead)
    problem, seconds = answers[one.lock.digest]
    if not problem:
        return Finding("ok", f"{state}, and the index has all it pins ({seconds:.0f} s)")
    remedy = (
        f"Mend the network or the index's settings; without a network: wmsforge env bundle {one.name} FOLDER elsewhere"
    )
    return Finding("error", f"{state}, and its lock does not resolve: {problem}", remedy)


def _resolve(unbuilt: Sequence[UsedEnvironment], say: Callable[[str], None]) -> dict[str, Answer]:
    """Ask for the locks together.

    Raises:
        CannotTellError: If there is no pip that can tell.
    """
    locks = {one.lock.digest: one.lock for one in unbuilt if one.lock}
    names = ", ".join(dict.fromkeys(one.name for one in unbuilt))
    say(f"asking the package index for {names}: metadata only, some seconds each (--no-resolve leaves it out)")
    with resolver() as failure, ThreadPoolExecutor(AT_ONCE) as pool:

        def ask(lock: Lock) -> Answer:
            start = time.perf_counter()
            return failure(lock), time.perf_counter() - start

        return dict(zip(locks, pool.map(ask, locks.values()), strict=True))


def _name(one: UsedEnvironment) -> str:
    plugin = f", {one.offer.plugin}" if one.offer else ""
    return f"{one.name} ({one.kind}{plugin}) for {_steps(one)}"


def _steps(one: UsedEnvironment) -> str:
    return ", ".join(one.steps)
