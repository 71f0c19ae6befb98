"""Connections for many calls at once. Imports httpx2, so import this when a model opens, not before.

httpx2 looks at every connection of a pool, down to its socket, whenever a request begins or ends. With 256
calls in flight that took as long as all the rest of a call together: 4.7 ms of CPU a call with one pool of 256,
2.5 ms with pools of 16 (httpx2 2.16, measured beside other work on 2 cores). So there are several small pools, and
each request takes the least busy one.
"""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass

import httpx2

A_POOL = 16
KEEP_ALIVE_S = 20.0


class Pools(httpx2.AsyncBaseTransport):
    """Small connection pools that together hold `connections`, and more while more requests are made at once.

    Args:
        url: Where requests go; the proxy that the environment names for it is used.
    """

    def __init__(self, url: str, connections: int) -> None:
        verify = httpx2.create_ssl_context()  # made once: it reads all the certificates there are
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=A_POOL, keepalive_expiry=KEEP_ALIVE_S)
        proxy = _proxy(httpx2.URL(url))
        self._pools = [
            httpx2.AsyncHTTPTransport(verify=verify, limits=limits, proxy=proxy)
            for _ in range(-(-connections // A_POOL))
        ]
        self._busy = [0] * len(self._pools)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        least = min(range(len(self._pools)), key=self._busy.__getitem__)
        self._busy[least] += 1
        try:
            return await self._pools[least].handle_async_request(request)
        finally:
            self._busy[least] -= 1

    async def aclose(self) -> None:
        for pool in self._pools:
            await pool.aclose()


def _proxy(url: httpx2.URL) -> str | None:
    """Return the proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for this address."""
    return None if proxy_bypass(url.host) else getproxies().get(url.scheme)
