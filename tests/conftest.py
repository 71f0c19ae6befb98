"""What the tests of the core share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
sys.path.append(str(TESTS))  # for `import mock_openai`


@pytest.fixture(scope="session")
def fixture_plugin_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin `wmsforge-fixture` installed by pip: put it on the PYTHONPATH of a subprocess.

    Not on this process's own path: the plugin would then be installed for every other test too.
    """
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target)]
    installed = subprocess.run([*command, str(TESTS / "fixture_plugin")], capture_output=True, text=True)
    if installed.returncode:
        pytest.fail(f"pip could not install tests/fixture_plugin:\n{installed.stderr}")
    return target
