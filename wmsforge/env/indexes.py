"""Where packages come from: what pip and uv can both be told of it, whichever of them builds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Told:
    """What an installer was told; what is empty it was not told."""

    index: str = ""
    extra_indexes: tuple[str, ...] = ()
    strategy: str = ""
    """What to take when several indexes have a package, in uv's words."""
    no_index: bool = False
    find_links: tuple[str, ...] = ()
    proxy: str = ""
    cert: str = ""
    """Certificates to trust: a file, or a folder of them."""
    client_cert: str = ""
    trusted_hosts: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    timeout_s: str = ""

    def without(self, own: Told) -> Told:
        """Return what is left to tell an installer that was told something itself, which stands."""
        taken: dict[str, Any] = {field.name: field.default for field in fields(Told) if getattr(own, field.name)}
        left = replace(self, **taken)
        if own.index or own.extra_indexes:
            left = replace(left, no_index=False)
        if own.no_index:
            left = replace(left, index="", extra_indexes=())
        return left if left.index or left.extra_indexes else replace(left, strategy="")

    def passwords(self) -> Iterator[str]:
        """Yield the passwords in its addresses, as written and as meant."""
        for address in (self.index, *self.extra_indexes, *self.find_links, self.proxy):
            written = urlsplit(address).password
            if written:
                yield written
                yield unquote(written)
