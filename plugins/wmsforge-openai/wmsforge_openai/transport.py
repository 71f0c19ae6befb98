"""One HTTP session of one model. Imports aiohttp, so import it when a model opens, not before."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from wmsforge.errors import RetryableError, StepError
from wmsforge.reasons import MALFORMED_RESPONSE, TRANSPORT
from wmsforge_openai.endpoint import Endpoint

KEEP_ALIVE_S = 4.0
"""Idle connections are let go before common servers close theirs (uvicorn: after 5 s), so that no
request is sent into a connection that is being closed."""
CONNECT_S = 30.0
"""Seconds a connection may take. How long the answer may take is the engine's to watch: it cancels the call."""


class Transport:
    """Posts bodies to one address over at most `connections` connections."""

    def __init__(self, endpoint: Endpoint, connections: int) -> None:
        self._endpoint = endpoint
        self._url = URL(endpoint.url)
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "wmsforge"}
        if endpoint.key:
            headers["Authorization"] = f"Bearer {endpoint.key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=KEEP_ALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=_proxy(self._url),
        )

    async def post(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and content of the reply.

        Raises:
            RetryableError: If no whole reply came.
            StepError: If the server's certificate is not trusted.
        """
        try:
            async with self._session.post(self._url, data=body, allow_redirects=False) as reply:
                return reply.status, reply.headers, await reply.read()
        except aiohttp.ClientConnectorCertificateError as error:
            raise StepError(
                f"{self._endpoint}: the server's certificate is not trusted: {error.certificate_error}.\n"
                f"Name your authority's certificates in the variable SSL_CERT_FILE, or correct base_url."
            ) from error
        except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError) as error:
            raise self._failed(MALFORMED_RESPONSE, f"no whole HTTP reply: {error}") from None  # it may echo the key
        except aiohttp.ClientConnectorError as error:
            raise self._failed(TRANSPORT, str(error), reached=False) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._failed(TRANSPORT, str(error) or type(error).__name__) from error

    def _failed(self, reason: str, said: str, *, reached: bool = True) -> RetryableError:
        return RetryableError(reason, f"{self._endpoint}: {self._endpoint.quote(said)}", reached=reached)

    async def close(self) -> None:
        await self._session.close()


def _proxy(url: URL) -> str | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for this address.

    Asked once: with aiohttp's `trust_env` every request would search the environment and ~/.netrc.
    """
    return None if proxy_bypass(url.host or "") else getproxies().get(url.scheme)
