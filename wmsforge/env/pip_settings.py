"""pip's settings: what it was told by its files and variables, and how to tell it what uv was told.

pip reads its own by itself; they are read here for uv. `pip config list` would give them without the order in which
its files count, and is not there in an environment that uv made.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from wmsforge.env.indexes import Told
from wmsforge.errors import StepError

_TRUE = {"y", "yes", "t", "true", "on", "1"}


def told_to_pip(environ: Mapping[str, str]) -> Told:
    """Return what pip was told for `pip install`.

    Raises:
        StepError: If one of its files cannot be read.
    """
    values = _values(environ)
    index, extra = values.get("index-url", ""), tuple(values.get("extra-index-url", "").split())
    return Told(
        index=index,
        extra_indexes=extra,
        # pip takes the best version of all indexes. uv would take the first index that has the package in any
        # version, and not find the one that the lock pins if that is in another.
        strategy="unsafe-best-match" if index or extra else "",
        no_index=values.get("no-index", "").lower() in _TRUE,
        find_links=tuple(values.get("find-links", "").split()),
        proxy=values.get("proxy", ""),
        cert=values.get("cert") or environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE", ""),
        client_cert=values.get("client-cert", ""),
        trusted_hosts=tuple(values.get("trusted-host", "").split()),
        constraints=tuple(values.get("constraint", "").split()),
        timeout_s=values.get("timeout") or values.get("default-timeout", ""),
    )


def for_pip(uv: Told, pip: Told) -> dict[str, str]:
    """Return the variables that tell pip what only uv was told."""
    new = uv.without(pip)
    # pip leaves an index without encryption aside unless its host is trusted; uv takes it.
    open_hosts = [urlsplit(url).netloc.rpartition("@")[2] for url in _addresses(new) if url.startswith("http://")]
    hosts = dict.fromkeys((*pip.trusted_hosts, *new.trusted_hosts, *open_hosts))
    told = {
        "PIP_INDEX_URL": new.index,
        "PIP_EXTRA_INDEX_URL": " ".join(new.extra_indexes),
        "PIP_NO_INDEX": "1" if new.no_index else "",
        "PIP_FIND_LINKS": " ".join(_one_word(place) for place in new.find_links),
        "PIP_PROXY": new.proxy,
        "PIP_CERT": new.cert,
        "PIP_CLIENT_CERT": new.client_cert,
        "PIP_TRUSTED_HOST": " ".join(hosts) if new.trusted_hosts or open_hosts else "",
        "PIP_CONSTRAINT": " ".join(new.constraints),
        "PIP_TIMEOUT": new.timeout_s,
    }
    return {name: value for name, value in told.items() if value}


def site_file() -> Path:
    """Return the settings of the environment that runs wmsforge, which may not exist."""
    return Path(sys.prefix) / "pip.conf"


def config_files(environ: Mapping[str, str]) -> list[Path]:
    """Return pip's files in the order in which they count, the last most; they may not exist.

    Source: `iter_config_files` and `get_configuration_files` of pip 26.3, _internal/configuration.py.
    """
    chosen = environ.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return []
    home = Path(environ.get("HOME") or Path.home())
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    shared = [Path(folder, "pip") for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)]
    shared.append(Path("/etc"))
    if sys.platform == "darwin":
        shared = [Path("/Library/Application Support/pip")]
        support = home / "Library/Application Support"
        config = support if (support / "pip").is_dir() else home / ".config"
    users = [] if chosen and Path(chosen).exists() else [home / ".pip", config / "pip"]
    return [*(folder / "pip.conf" for folder in (*shared, *users)), site_file(), *([Path(chosen)] if chosen else [])]


def _values(environ: Mapping[str, str]) -> dict[str, str]:
    """Return pip's options for `install` as written: variables before its section, that before `[global]`."""
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}}
    for path in config_files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path)
        except (configparser.Error, UnicodeDecodeError) as error:
            said = str(error).splitlines()[0]
            raise StepError(f"pip's settings in {path} cannot be read: {said}\nCorrect that file.") from error
        for section in filter(parser.has_section, sections):
            sections[section] |= {_option(name): value for name, value in parser.items(section) if value}
    variables = {_option(name[4:]): value for name, value in environ.items() if name.startswith("PIP_") and value}
    return {**sections["global"], **sections["install"], **variables}


def _option(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def _addresses(told: Told) -> Iterator[str]:
    yield from (told.index, *told.extra_indexes, *told.find_links)


def _one_word(place: str) -> str:
    """Return a place for a list that pip divides at spaces."""
    return Path(place).absolute().as_uri() if " " in place else place
