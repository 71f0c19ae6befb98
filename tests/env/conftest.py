"""What the tests of environments share: a machine that was told nothing, and the two builders."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # for `import tiny_index`

from wmsforge.env.installers import installer

TELLING = ("PIP_", "UV_", "SSL_", "XDG_CONFIG", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "WMSFORGE_")


@pytest.fixture
def untold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Take away what this machine tells pip, uv and wmsforge; return the user's folder, which is empty."""
    for name in list(os.environ):
        if name.startswith(TELLING) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    user = tmp_path / "user"
    user.mkdir()
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "nowhere"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)  # no file counts then, not /etc/pip.conf either
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("WMSFORGE_HOME", str(tmp_path / "home"))
    return user


@pytest.fixture(params=["pip", "uv"])
def builder(request: pytest.FixtureRequest, untold: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each builder by its name, and wmsforge told to use it."""
    if request.param == "uv" and installer({"PATH": os.environ["PATH"]}).name != "uv":
        pytest.skip("uv is not installed: pip install uv")
    monkeypatch.setenv("WMSFORGE_BUILDER", request.param)
    name: str = request.param
    return name
