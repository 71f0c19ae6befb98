"""Google's SDK behind one narrow door. Imports it, so import this when a model opens, not before.

The SDK's own retries stay off: they know nothing of RetryInfo, of the run's limits or of its ledger.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

import httpx2
from google import genai
from google.genai import errors, types

from wmsforge.errors import RetryableError, StepError, WmsforgeError
from wmsforge.reasons import MALFORMED_RESPONSE, TIMEOUT, TRANSPORT
from wmsforge_gemini.batch_results import GONE, Seen, seen
from wmsforge_gemini.endpoint import Endpoint
from wmsforge_gemini.failures import failure
from wmsforge_gemini.transport import Pools

T = TypeVar("T")

API_VERSION = "v1beta"
CONNECT_S = 30.0
JOBS_A_PAGE = 100
PLAIN = {
    "should_return_http_response": True,
    "automatic_function_calling": {"disable": True},
    "automatic_continuation": False,
}
"""The SDK hands the reply over as it came, and makes one request for one call."""
NOT_HTTP = (httpx2.DecodingError, httpx2.RemoteProtocolError)


class Client:
    """Sends up to `connections` requests at once.

    All its methods raise what a failed call means, see `failure`; beside that `RetryableError` if no whole
    reply came, and `StepError` if the server's certificate is not trusted.
    """

    def __init__(self, endpoint: Endpoint, connections: int, timeout_s: float) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        # The client is passed explicitly: else the SDK takes aiohttp where that happens to be installed.
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(timeout_s, connect=CONNECT_S),
            transport=Pools(endpoint.base_url, connections),
        )
        self._genai = genai.Client(
            api_key=endpoint.key,
            vertexai=False,
            http_options=types.HttpOptions(
                base_url=endpoint.base_url,
                api_version=API_VERSION,
                timeout=round(timeout_s * 1000),
                httpx_async_client=self._http,
            ),
        )
        self._models = self._genai.aio.models

    async def generate(self, contents: list[Any], config: dict[str, Any]) -> str:
        """Return the body of a reply to one request."""
        settings: Any = {**config, **PLAIN}
        asked = self._models.generate_content(model=self._endpoint.model, contents=contents, config=settings)
        reply = await self._told(asked)
        body = reply.sdk_http_response.body if reply.sdk_http_response is not None else None
        return body or ""

    async def create_job(self, display_name: str, requests: list[dict[str, Any]]) -> str:
        """Create a batch job of these requests (`contents`, `metadata`, `config`); return its name."""
        source: Any = requests
        asked = self._genai.aio.batches.create(
            model=self._endpoint.model, src=source, config={"display_name": display_name}
        )
        job = await self._told(asked)
        if not job.name:
            raise RetryableError(MALFORMED_RESPONSE, f"{self._endpoint} named no batch job")
        return job.name

    async def get_job(self, name: str) -> Seen:
        """Return a batch job as it is now; its state is GONE where Google knows it no more."""
        operation = await self._get(name, or_none=True)
        return Seen(name, "", GONE) if operation is None else seen(self._endpoint, operation)

    async def find_job(self, display_name: str) -> Seen | None:
        """Return the batch job that was given this name, None if there is none."""
        token = ""
        while True:
            page = await self._get("batches", {"pageSize": str(JOBS_A_PAGE)} | ({"pageToken": token} if token else {}))
            operations = page.get("operations") or [] if isinstance(page, dict) else []
            for operation in operations:
                job = seen(self._endpoint, operation)
                if job.display_name == display_name:
                    return job
            token = page.get("nextPageToken", "") if isinstance(page, dict) else ""
            if not token:
                return None

    async def _get(self, path: str, query: dict[str, str] | None = None, *, or_none: bool = False) -> Any:
        """Return the JSON at a path of the API, or None if nothing is there and `or_none` allows for it.

        Asked without the SDK, which leaves out why a job failed and takes seconds to read a large one's answers.
        """
        url = f"{self._endpoint.base_url}/{API_VERSION}/{path}"
        headers = {"x-goog-api-key": self._endpoint.key}
        reply = await self._told(self._http.get(url, params=query, headers=headers))
        try:
            content = reply.json()
        except ValueError as error:
            if reply.status_code == 200:
                detail = f"{self._endpoint} sent no JSON: {self._endpoint.quote(reply.text)}"
                raise RetryableError(MALFORMED_RESPONSE, detail, raw=self._endpoint.keep(reply.text)) from error
            content = reply.text
        if reply.status_code == 404 and or_none:
            return None
        if reply.status_code != 200:
            raise failure(self._endpoint, reply.status_code, content, reply.headers)
        return content

    async def close(self) -> None:
        await self._genai.aio.aclose()
        await self._http.aclose()

    async def _told(self, asked: Awaitable[T]) -> T:
        try:
            return await asked
        except errors.APIError as error:
            headers = getattr(error.response, "headers", None) or {}
            failed = failure(self._endpoint, error.code, error.details, headers)
            cause: Exception = error
        except httpx2.TimeoutException as error:
            detail = f"{self._endpoint} did not answer within {self._timeout_s:g} s"
            failed, cause = RetryableError(TIMEOUT, detail), error
        except (httpx2.HTTPError, OSError) as error:
            failed, cause = self._unreached(error), error
        # A server may echo the key: then the cause must not be shown with the error.
        raise failed from (None if self._endpoint.key and self._endpoint.key in str(cause) else cause)

    def _unreached(self, error: Exception) -> WmsforgeError:
        said = self._endpoint.quote(str(error) or type(error).__name__)
        if "CERTIFICATE_VERIFY_FAILED" in said:
            return StepError(
                f"{self._endpoint}: the certificate of {self._endpoint.base_url} is not trusted: {said}\n"
                f"Name your authority's certificates in the variable SSL_CERT_FILE, or correct base_url."
            )
        broke = isinstance(error, NOT_HTTP) and "without sending a response" not in said
        reason = MALFORMED_RESPONSE if broke else TRANSPORT
        reached = not isinstance(error, httpx2.ConnectError)
        return RetryableError(reason, f"{self._endpoint} at {self._endpoint.base_url}: {said}", reached=reached)
