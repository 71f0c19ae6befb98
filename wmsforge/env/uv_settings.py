"""uv's settings: what it was told by its files and variables, and how to tell it what pip was told.

uv reads its own by itself; they are read here for pip, and so that what pip was told does not take their place.
A project's `uv.toml` and `pyproject.toml` do not count: all projects share an environment.
"""

from __future__ import annotations

import os
import re
import ssl
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from wmsforge.env.indexes import Told
from wmsforge.errors import StepError

_NAMED = re.compile(r"([A-Za-z0-9_.-]+)=(.*)")
_TRUE = {"1", "true", "yes", "on", "y", "t"}


def told_to_uv(environ: Mapping[str, str]) -> Told:
    """Return what uv was told for `uv pip install`.

    Raises:
        StepError: If one of its files cannot be read.
    """
    written = _written(environ)
    default, others = list[str](), list[str]()
    for index in written.get("index", ()):
        place = _with_login(index["url"], index.get("name", ""), environ)
        (default if index.get("default") else others).append(place)
    return Told(
        index=_first(
            _index(environ.get("UV_DEFAULT_INDEX", ""), environ),
            environ.get("UV_INDEX_URL", ""),
            *default,
            written.get("index-url", ""),
        ),
        extra_indexes=(
            *(_index(index, environ) for index in environ.get("UV_INDEX", "").split()),
            *environ.get("UV_EXTRA_INDEX_URL", "").split(),
            *others,
            *written.get("extra-index-url", ()),
        ),
        strategy=environ.get("UV_INDEX_STRATEGY") or written.get("index-strategy", ""),
        no_index=_is_true(environ.get("UV_NO_INDEX", "")) or written.get("no-index", False),
        find_links=(*filter(None, environ.get("UV_FIND_LINKS", "").split(",")), *written.get("find-links", ())),
        proxy=written.get("https-proxy") or written.get("http-proxy", ""),
        cert=_cert(environ, written),
        client_cert=environ.get("SSL_CLIENT_CERT", ""),
        trusted_hosts=(
            *map(_host, environ.get("UV_INSECURE_HOST", "").split()),
            *map(_host, written.get("allow-insecure-host", ())),
        ),
        constraints=tuple(environ.get("UV_CONSTRAINT", "").split()),
        timeout_s=environ.get("UV_HTTP_TIMEOUT", ""),
    )


def for_uv(pip: Told, uv: Told) -> dict[str, str]:
    """Return the variables that tell uv what only pip was told; `no_index` has none, it is a flag."""
    new = pip.without(uv)
    told = {
        "UV_DEFAULT_INDEX": new.index,
        "UV_INDEX": " ".join(new.extra_indexes),
        "UV_INDEX_STRATEGY": new.strategy,
        "UV_FIND_LINKS": ",".join(_without_comma(place) for place in new.find_links),
        "SSL_CERT_DIR" if Path(new.cert).is_dir() else "SSL_CERT_FILE": new.cert,
        "SSL_CLIENT_CERT": new.client_cert,
        "UV_INSECURE_HOST": " ".join(new.trusted_hosts),
        "UV_CONSTRAINT": " ".join(new.constraints),
        "UV_HTTP_TIMEOUT": new.timeout_s.partition(".")[0],  # whole seconds
    }
    variables = {name: value for name, value in told.items() if value}
    if new.proxy:  # pip asks it for every host then, whatever the variables of all programs say
        variables |= dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"), new.proxy)
        variables |= {"NO_PROXY": "", "no_proxy": ""}
    return variables


def config_files(environ: Mapping[str, str]) -> list[Path]:
    """Return uv's files, the one that counts most first; they may not exist."""
    if _is_true(environ.get("UV_NO_CONFIG", "")):
        return []
    if chosen := environ.get("UV_CONFIG_FILE"):
        return [Path(chosen)]
    user = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home()) / ".config")
    system = [Path(folder) for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)]
    shared = next((path for folder in system if (path := folder / "uv/uv.toml").exists()), Path("/etc/uv/uv.toml"))
    return [user / "uv/uv.toml", shared]


def _written(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what stands in uv's files: lists one after another, of other values the first."""
    written: dict[str, Any] = {}
    for path in filter(Path.is_file, config_files(environ)):
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise StepError(f"uv's settings in {path} cannot be read: {error}\nCorrect that file.") from error
        found = {**table, **table.get("pip", {})}
        found["find-links"] = [_absolute(place, path.parent) for place in found.get("find-links", ())]
        for name, value in found.items():
            written[name] = [*written.get(name, ()), *value] if isinstance(value, list) else written.get(name, value)
    return written


def _index(text: str, environ: Mapping[str, str]) -> str:
    """Return the address of an index that may be written NAME=ADDRESS."""
    named = _NAMED.fullmatch(text)
    return _with_login(named[2], named[1], environ) if named else text


def _with_login(url: str, name: str, environ: Mapping[str, str]) -> str:
    """Return an index's address with what uv's variables tell of who asks it."""
    prefix = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
    user, password = (environ.get(f"{prefix}_{what}", "") for what in ("USERNAME", "PASSWORD"))
    parts = urlsplit(url)
    if not name or not (user or password) or parts.username:
        return url
    return parts._replace(netloc=f"{quote(user, '')}:{quote(password, '')}@{parts.netloc}").geturl()


def _cert(environ: Mapping[str, str], written: Mapping[str, Any]) -> str:
    file, folder = environ.get("SSL_CERT_FILE", ""), environ.get("SSL_CERT_DIR", "")
    if file or (folder and os.pathsep not in folder):  # pip takes one place
        return file or folder
    asked = [environ.get("UV_SYSTEM_CERTS", ""), environ.get("UV_NATIVE_TLS", "")]
    if any(map(_is_true, asked)) or written.get("system-certs") or written.get("native-tls"):
        paths = ssl.get_default_verify_paths()
        return paths.cafile or paths.capath or ""
    return ""


def _host(text: str) -> str:
    """Return HOST or HOST:PORT, all that pip takes."""
    return urlsplit(text).netloc or text


def _absolute(place: str, folder: Path) -> str:
    return place if "://" in place else str(folder / place)


def _without_comma(place: str) -> str:
    """Return a place for a list that uv divides at commas."""
    if "," not in place:
        return place
    return place.replace(",", "%2C") if "://" in place else Path(place).absolute().as_uri().replace(",", "%2C")


def _first(*values: str) -> str:
    return next(filter(None, values), "")


def _is_true(text: str) -> bool:
    return text.lower() in _TRUE
