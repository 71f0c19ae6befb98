"""The upload, against a small fake of the model hub's API: what is sent, and where the token is not."""

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("huggingface_hub")

TOKEN = "hf_" + "x" * 30
PUSH = """
import json, sys
from wmsforge.env.worker import JobError
from wmsforge_export.jobs.push import push
class Told:
    def note(self, text): print(text)
try:
    print(json.dumps(push(json.loads(sys.argv[1]), Told())))
except JobError as error:
    print("JobError:", error)
"""


class FakeHub(BaseHTTPRequestHandler):
    """Takes every file in the commit itself, as the real one does with small text files."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        self.server.seen.append((self.path, self.headers["authorization"], body))
        if self.headers["authorization"] != f"Bearer {TOKEN}":
            return self._answer(401, {"error": "no such token"})
        if self.path.endswith("/repos/create"):
            return self._answer(200, {"url": f"{self.server.url}/me/wms", "id": "me/wms", "name": "me/wms"})
        if "/preupload/" in self.path:
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            return self._answer(200, {"files": [{"path": one["path"], **modes} for one in json.loads(body)["files"]]})
        if "/commit/" in self.path:
            url = f"{self.server.url}/me/wms/commit/0"
            return self._answer(200, {"success": True, "commitOid": "0" * 40, "commitUrl": url})
        return self._answer(200, {})

    def do_GET(self):
        self.server.seen.append((self.path, self.headers["authorization"], b""))
        self._answer(200, {"id": "me/wms", "sha": "0" * 40, "siblings": [], "private": True})

    def _answer(self, code, value):
        text = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        """Keep quiet."""


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    server.seen, server.url = [], f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def push(hub, folder, tmp_path, token):
    job = {"folder": str(folder), "repo": "me/wms", "private": True, "ignore": ["wmsforge_export.json"]}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        **({"HF_TOKEN": token} if token else {}),
    }
    return subprocess.run(
        [sys.executable, "-c", PUSH, json.dumps(job)], capture_output=True, text=True, env=environment, check=False
    )


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "model"
    made.mkdir()
    (made / "README.md").write_text("# wms")
    (made / "config.json").write_text("{}")
    (made / "wmsforge_export.json").write_text("{}")
    return made


def test_the_folder_arrives_in_one_commit_and_the_token_only_in_the_header(hub, folder, tmp_path):
    done = push(hub, folder, tmp_path, TOKEN)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["commit"] == "0" * 40
    (commit,) = [body for path, _, body in hub.seen if "/commit/" in path]
    lines = [json.loads(line) for line in commit.decode().splitlines()]
    files = [line["value"] for line in lines if line["key"] == "file"]
    sent = {file["path"]: base64.b64decode(file["content"]) for file in files}
    assert sent == {"README.md": b"# wms", "config.json": b"{}"}
    (created,) = [json.loads(body) for path, _, body in hub.seen if path.endswith("/repos/create")]
    assert created.get("private") is True or created["visibility"] == "private"
    assert TOKEN not in done.stdout + done.stderr
    assert not any(TOKEN.encode() in body for _, _, body in hub.seen)
    stored = [file for file in tmp_path.rglob("*") if file.is_file() and TOKEN.encode() in file.read_bytes()]
    assert stored == []


def test_without_a_token_nothing_is_sent(hub, folder, tmp_path):
    done = push(hub, folder, tmp_path, "")
    assert "JobError: The model hub wants a token, and there is none.\nSet it: export HF_TOKEN=..." in done.stdout
    assert hub.seen == []


def test_a_refused_token_is_an_error_without_the_token(hub, folder, tmp_path):
    wrong = "hf_" + "y" * 30
    done = push(hub, folder, tmp_path, wrong)
    assert "JobError: The model hub refused 'me/wms': 401." in done.stdout
    assert wrong not in done.stdout + done.stderr
