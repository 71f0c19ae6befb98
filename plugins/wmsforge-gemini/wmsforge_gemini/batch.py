"""Calls that come together go out as one batch job, and are answered from its results.

A job is stored before it is created, and its name before it is asked about. So a request that was sent is
never sent twice: after a kill the same request finds its job by the stored name, or, if the kill came between
the two, by the name it was given.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wmsforge.errors import RetryableError, WmsforgeError
from wmsforge.reasons import RATE_LIMIT
from wmsforge.steps.chat_model import ChatRequest, ChatResponse
from wmsforge_gemini.batch_jobs import Job, JobFolder
from wmsforge_gemini.batch_results import ANSWERED, Seen, by_key, not_answered, read_result
from wmsforge_gemini.endpoint import Endpoint
from wmsforge_gemini.requests import config_of, contents_of

if TYPE_CHECKING:
    from wmsforge_gemini.client import Client

MOST_REQUESTS = 5_000
MOST_BYTES = 15_000_000
"""Google takes 20 MB of requests in one job."""
FIRST_POLL_S = 2.0
LOOK_AGAIN_S = 5.0
"""Seconds after which a job that is not found is looked for once more, before it counts as never created."""
SETTLE_S = 1.0
"""Seconds from the moment an answer is handed out until it is written down as taken: by then it is in the ledger."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass
class _Asked:
    request: ChatRequest
    futures: list[asyncio.Future[dict[str, Any] | None]] = field(default_factory=list)


class Batch:
    """Gathers the calls of one model.

    Args:
        folder: Where jobs are stored between runs.
        constant: What every request sends besides its prompt.
        quiet_s: Seconds without a new call after which those gathered are sent.
        poll_s: Seconds between two looks at a job at most.
        warn: Tells the user what is waited for.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        client: Client,
        folder: Path,
        constant: dict[str, Any],
        *,
        quiet_s: float,
        poll_s: float,
        warn: Callable[[str], None],
    ) -> None:
        self._endpoint, self._client, self._constant, self._warn = endpoint, client, constant, warn
        self._quiet_s, self._poll_s = quiet_s, poll_s
        self._jobs = JobFolder(folder)
        self._waiting: dict[str, _Asked] = {}
        self._gathering: dict[str, int] = {}
        """Requests not sent yet and their sizes in bytes."""
        self._gathered_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._covered: dict[str, Job] = {}
        """The job that answers a request, for every answer not taken yet."""
        self._results: dict[str, dict[str, dict[str, Any]]] = {}
        """Of finished jobs, by display name."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._unsettled: dict[str, tuple[Job, asyncio.TimerHandle]] = {}
        for job in self._jobs.load():
            self._cover(job)

    async def ask(self, request: ChatRequest) -> ChatResponse:
        """Return the answer to a request, of a stored job or of one to come; raises as `GeminiModel.complete`."""
        written = json.dumps([self._endpoint.model, self._constant, request.model_dump(mode="json")], sort_keys=True)
        key = blake2b(written.encode(), digest_size=16).hexdigest()
        asked = self._waiting.setdefault(key, _Asked(request))
        future = asyncio.get_running_loop().create_future()
        asked.futures.append(future)
        if key in self._covered:
            self._attend(self._covered[key])
        else:
            self._gather(key, len(written.encode()))
        try:
            result = await future
        finally:
            asked.futures.remove(future)
            if not asked.futures:
                self._waiting.pop(key, None)
                self._gathered_bytes -= self._gathering.pop(key, 0)
        self._take(key)
        return read_result(self._endpoint, result)

    async def close(self) -> None:
        """Stop waiting; what was sent is found again by the next run."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for display_name in list(self._unsettled):
            self._settle(display_name)

    def _gather(self, key: str, size: int) -> None:
        self._gathered_bytes += size - self._gathering.get(key, 0)
        self._gathering[key] = size
        if self._timer is not None:
            self._timer.cancel()
        if len(self._gathering) >= MOST_REQUESTS or self._gathered_bytes >= MOST_BYTES:
            self._send()
        else:
            self._timer = asyncio.get_running_loop().call_later(self._quiet_s, self._send)

    def _send(self) -> None:
        """Store a job of all that was gathered, then create it."""
        self._timer = None
        keys, self._gathering, self._gathered_bytes = list(self._gathering), {}, 0
        if keys:
            job = self._jobs.plan(keys)
            self._cover(job)
            self._start(job, self._create(job, [self._waiting[key].request for key in keys]))

    async def _create(self, job: Job, requests: list[ChatRequest]) -> None:
        inlined = [
            {
                "contents": contents_of(request),
                "metadata": {"key": key},
                "config": config_of(request, self._constant),
            }
            for key, request in zip(job.keys, requests, strict=True)
        ]
        try:
            name = await self._client.create_job(job.display_name, inlined)
        except WmsforgeError as error:
            # Where it is unknown whether the job exists, it stays, and the next try looks for it: a reply of 5xx may
            # come of a gateway behind which the job was made.
            if not isinstance(error, RetryableError) or error.reason == RATE_LIMIT or not error.reached:
                self._forget(job)
            raise
        self._named(job, name)
        self._warn(
            f"batch job {name} has {len(job.keys)} requests at half price; Google may take a day for it. A run that "
            "is stopped meanwhile finds its answers later: give the same command."
        )
        await self._follow(job)

    async def _follow(self, job: Job) -> None:
        """Wait for a job and hand out its answers."""
        if not job.name and not await self._find(job):
            return
        ended = await self._ended(job)
        if ended.state not in ANSWERED:
            self._forget(job)
            raise not_answered(self._endpoint, ended)
        self._results[job.display_name] = by_key(self._endpoint, job.keys, ended)
        self._hand_out(job)

    async def _find(self, job: Job) -> bool:
        """Look for a job that was perhaps created. Without one its requests are gathered again."""
        for pause_s in (0.0, min(LOOK_AGAIN_S, self._poll_s)):  # it may have been on its way
            await asyncio.sleep(pause_s)
            found = await self._patiently(lambda: self._client.find_job(job.display_name))
            if found is not None:
                self._named(job, found.name)
                return True
        self._forget(job)
        for key in job.keys:
            if key in self._waiting:
                self._gather(key, len(self._waiting[key].request.model_dump_json().encode()))
        return False

    async def _ended(self, job: Job) -> Seen:
        pause_s, state = min(FIRST_POLL_S, self._poll_s), ""
        while True:
            now = await self._patiently(lambda: self._client.get_job(job.name))
            if now.state != state:
                state = now.state
                _log.info("batch job %s (%d requests): %s", job.name, len(job.keys), state)
            if now.ended:
                return now
            await asyncio.sleep(pause_s)
            pause_s = min(self._poll_s, 1.5 * pause_s)

    async def _patiently(self, look: Callable[[], Awaitable[T]]) -> T:
        """Look until there is an answer: a job at work does not fail because no one can be asked about it."""
        while True:
            try:
                return await look()
            except RetryableError as error:
                self._warn(f"cannot look at the batch jobs, and tries again: {error}")
                await asyncio.sleep(max(error.after_s or 0.0, self._poll_s))

    def _start(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except Exception as error:  # whoever waits must hear of it, whatever it is
                self._fail(job, error)

        self._tasks[job.display_name] = asyncio.get_running_loop().create_task(guarded())

    def _attend(self, job: Job) -> None:
        if job.display_name in self._results:
            self._hand_out(job)
        elif (task := self._tasks.get(job.display_name)) is None or task.done():
            if job.name:
                self._warn(f"goes on waiting for the batch job {job.name}, sent by an earlier run")
            self._start(job, self._follow(job))

    def _named(self, job: Job, name: str) -> None:
        job.name = name
        self._jobs.store(job)
        _log.info("batch job %s is %s", job.display_name, name)

    def _hand_out(self, job: Job) -> None:
        results = self._results[job.display_name]
        for key in job.open_keys:
            for future in self._futures(key):
                future.set_result(results.get(key))

    def _fail(self, job: Job, error: Exception) -> None:
        _log.info("batch job %s: %s", job.name or job.display_name, error)
        for key in job.open_keys:
            for future in self._futures(key):
                future.set_exception(error)

    def _futures(self, key: str) -> list[asyncio.Future[dict[str, Any] | None]]:
        return [future for future in self._waiting[key].futures if not future.done()] if key in self._waiting else []

    def _cover(self, job: Job) -> None:
        for key in job.open_keys:
            self._covered[key] = job

    def _forget(self, job: Job) -> None:
        self._jobs.forget(job)
        for key in job.open_keys:
            self._covered.pop(key, None)

    def _take(self, key: str) -> None:
        """Note that an answer was handed out: the same request is a new one from now on."""
        job = self._covered.pop(key, None)
        if job is not None:
            job.taken.add(key)
            if job.display_name not in self._unsettled:
                later = asyncio.get_running_loop().call_later(SETTLE_S, self._settle, job.display_name)
                self._unsettled[job.display_name] = job, later

    def _settle(self, display_name: str) -> None:
        job, later = self._unsettled.pop(display_name)
        later.cancel()
        self._jobs.settle(job)
        if not job.open_keys:
            self._results.pop(display_name, None)
            self._tasks.pop(display_name, None)
