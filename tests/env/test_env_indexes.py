"""What pip was told holds when uv builds, and what uv was told when pip does; passwords are shown by neither."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_index import TinyIndex, make_wheel

from wmsforge.env.build import build, download, folder_of
from wmsforge.env.commands import Surroundings, run_command
from wmsforge.env.indexes import Told
from wmsforge.env.installers import installer
from wmsforge.env.locks import EnvironmentOffer, Lock, read_pins
from wmsforge.env.pip_settings import config_files, for_pip, told_to_pip
from wmsforge.env.uv_settings import for_uv, told_to_uv
from wmsforge.errors import StepError

OFFER = EnvironmentOffer("tiny", "wmsforge:locks", "tiny", "For tests.", "wmsforge-tiny")
PASSWORD = "s3cret-w0rd"


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    path = tmp_path / "cpu.txt"
    path.write_text("tinydep==1.0\n", encoding="utf-8")
    return Lock(path, read_pins(path))


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    return make_wheel(tmp_path / "wheels", "1.0").parent


@pytest.fixture
def index(wheels: Path) -> Iterator[TinyIndex]:
    with TinyIndex(wheels, f"user:{PASSWORD}") as running:
        yield running


def get(builder: str, lock: Lock, folder: Path) -> str:
    """Let a builder get what the lock says; return all that was printed.

    pip downloads only, with the variables and settings of a build: the environment around it takes it seconds.
    """
    said = list[str]()
    if builder == "pip":
        download(OFFER, lock, folder, said.append)
        assert [path.name for path in folder.glob("*.whl")] == ["tinydep-1.0-py3-none-any.whl"]
        return "\n".join(said) + (folder / "download.log").read_text()
    build(OFFER, lock, said.append)
    return "\n".join(said) + folder_of(OFFER, lock).with_suffix(".log").read_text()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    "by", ["pip.conf", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "uv.toml", "UV_DEFAULT_INDEX", "UV_INDEX"]
)
def test_an_index_of_either_is_asked_by_both_and_its_password_is_not_shown(
    builder: str, by: str, untold: Path, index: TinyIndex, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "pip.conf":
        monkeypatch.delenv("PIP_CONFIG_FILE")
        write(untold / ".config/pip/pip.conf", f"[global]\nindex_url = {index.url}\n")
    elif by == "uv.toml":
        write(untold / ".config/uv/uv.toml", f'[[index]]\nurl = "{index.url}"\ndefault = true\n')
    elif by == "UV_INDEX":  # by its name, and the login beside it
        monkeypatch.setenv("UV_INDEX", f"our-own={index.url.replace(f'user:{PASSWORD}@', '')}")
        monkeypatch.setenv("UV_INDEX_OUR_OWN_USERNAME", "user")
        monkeypatch.setenv("UV_INDEX_OUR_OWN_PASSWORD", PASSWORD)
    else:
        monkeypatch.setenv(by, index.url)
    if by in ("PIP_EXTRA_INDEX_URL", "UV_INDEX"):
        monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("/simple", "/empty"))
    printed = get(builder, lock, tmp_path / "got")
    assert "/files/tinydep-1.0-py3-none-any.whl" in index.asked
    assert PASSWORD not in printed


@pytest.mark.parametrize("by", ["PIP_FIND_LINKS", "UV_FIND_LINKS"])
def test_find_links_of_either_without_the_index(
    builder: str,
    by: str,
    untold: Path,
    wheels: Path,
    index: TinyIndex,
    lock: Lock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = wheels
    if by == "UV_FIND_LINKS":
        place = wheels.rename(tmp_path / "the wheels")  # uv divides its list at commas, pip at spaces
        write(untold / ".config/uv/uv.toml", f'no-index = true\nindex-url = "{index.url}"\n')
    else:
        place = wheels.rename(tmp_path / "the,wheels")
        monkeypatch.setenv("PIP_NO_INDEX", "true")
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
    monkeypatch.setenv(by, str(place))
    get(builder, lock, tmp_path / "got")
    assert index.asked == []


def test_the_version_is_found_though_another_index_has_the_package_too(
    builder: str, wheels: Path, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_wheel(tmp_path / "other", "2.0").parent
    with TinyIndex(other) as first, TinyIndex(wheels) as second:
        monkeypatch.setenv("PIP_INDEX_URL", second.url)
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", first.url)  # uv asks it before the other, and stops at it by itself
        get(builder, lock, tmp_path / "got")
        assert "/simple/tinydep/" in first.asked


def test_a_proxy_of_the_other_is_asked_for_a_host_that_only_it_knows(
    builder: str, untold: Path, wheels: Path, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TinyIndex(wheels) as proxy:
        address = proxy.url.removesuffix("/simple")
        if builder == "uv":
            monkeypatch.setenv("PIP_PROXY", address)
            monkeypatch.setenv("PIP_INDEX_URL", "http://mirror.invalid/simple")
            monkeypatch.setenv("NO_PROXY", "mirror.invalid")  # pip does not look at it when it was told of a proxy
        else:
            write(untold / ".config/uv/uv.toml", f'http-proxy = "{address}"\n')
            monkeypatch.setenv("UV_DEFAULT_INDEX", "http://mirror.invalid/simple")
        get(builder, lock, tmp_path / "got")
        assert "/files/tinydep-1.0-py3-none-any.whl" in proxy.asked


def test_constraints_of_either_hold(
    builder: str, wheels: Path, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "constraints.txt", "tinydep>=2\n")
    other = {"pip": "UV_CONSTRAINT", "uv": "PIP_CONSTRAINT"}[builder]
    monkeypatch.setenv(other, str(tmp_path / "constraints.txt"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(StepError, match=r"could not be built: (.|\n)*tinydep"):
        get(builder, lock, tmp_path / "got")


def test_a_refused_password_is_in_no_message_and_no_log(
    builder: str, index: TinyIndex, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace(PASSWORD, "wr0ng-w0rd"))
    with pytest.raises(StepError) as error:
        get(builder, lock, tmp_path / "got")
    logs = [path.read_text() for path in tmp_path.rglob("*.log")]
    assert logs and "wr0ng-w0rd" not in "".join([str(error.value), *logs])


def test_a_projects_own_settings_of_uv_do_not_count_for_what_all_projects_share(
    builder: str, index: TinyIndex, lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "project/uv.toml", 'override-dependencies = ["tinydep==2.0"]\n')
    write(tmp_path / "project/pyproject.toml", '[tool.uv]\nindex-url = "http://127.0.0.1:9/simple"\n')
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", index.url)
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("/simple", "/empty"))
    get(builder, lock, tmp_path / "got")


def test_pip_in_a_new_environment_keeps_to_the_settings_of_that_which_runs_wmsforge(
    untold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "prefix/pip.conf", "[global]\nindex-url = https://site/simple\n")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.delenv("PIP_CONFIG_FILE")
    monkeypatch.setenv("WMSFORGE_BUILDER", "pip")
    (tmp_path / "new").mkdir()
    commands = list(installer().commands(tmp_path / "new", tmp_path / "cpu.txt", None))
    assert [command[1:3] for command in commands] == [["-m", "venv"], ["-m", "pip"]]
    assert (tmp_path / "new/pip.conf").resolve() == tmp_path / "prefix/pip.conf"
    assert told_to_pip(os.environ).index == "https://site/simple"  # and uv is told of it


def test_what_a_builder_says_of_passwords_is_not_kept(untold: Path, tmp_path: Path) -> None:
    """pip and uv hide them mostly; what they call, such as git, does not."""
    variables = {**os.environ, "PIP_INDEX_URL": "https://me:p%40ss-w0rd@host/simple"}
    told = installer(variables)
    program = "print('fatal: https://me:other@host/x'); print('p@ss-w0rd is wrong'); raise SystemExit(3)"
    around = Surroundings("environment 'tiny'", tmp_path / "log", variables, told.mask)
    with pytest.raises(StepError, match=r"ended with 3\.\n  fatal: https://\*\*\*@host/x\n  \*\*\* is wrong\n"):
        run_command([sys.executable, "-c", program], around)
    assert (tmp_path / "log").read_text() == "fatal: https://***@host/x\n*** is wrong\n"


def test_pips_files_are_those_that_pip_names(untold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_CONFIG_FILE")
    chosen = tmp_path / "chosen.conf"
    for environ in (dict(os.environ), {**os.environ, "PIP_CONFIG_FILE": str(chosen)}):
        told = subprocess.run(
            [sys.executable, "-m", "pip", "config", "debug"], env=environ, capture_output=True, text=True, check=True
        )
        named = [line.partition(", exists:")[0].strip() for line in told.stdout.splitlines() if ", exists:" in line]
        assert sorted(map(str, config_files(environ))) == sorted(named)  # pip sorts them by their kind's name
        chosen.touch()  # then the user's own do not count


def test_the_last_of_pips_files_counts_its_section_before_global_and_a_variable_before_both(
    untold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_CONFIG_FILE")
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "z"))
    write(tmp_path / "z/pip/pip.conf", "[global]\nindex-url = https://shared/simple\n[install]\nproxy = http://p:1\n")
    write(
        untold / ".config/pip/pip.conf", "[global]\nindex_url = https://user/simple\nproxy = http://p:2\nno-index=no\n"
    )
    told = told_to_pip(os.environ)
    assert (told.index, told.proxy, told.no_index) == ("https://user/simple", "http://p:1", False)
    monkeypatch.setenv("PIP_PROXY", "http://p:3")
    assert told_to_pip(os.environ).proxy == "http://p:3"


def test_settings_that_are_torn_are_named(untold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_CONFIG_FILE")
    write(untold / ".config/pip/pip.conf", "index-url = x\n")
    with pytest.raises(StepError, match=r"pip's settings in .*pip\.conf cannot be read: .*\nCorrect that file"):
        told_to_pip(os.environ)
    write(untold / ".config/uv/uv.toml", "index-url = x\n")
    with pytest.raises(StepError, match=r"uv's settings in .*uv\.toml cannot be read: .*\nCorrect that file"):
        told_to_uv(os.environ)


def test_what_an_installer_was_told_itself_stands() -> None:
    pip = told_to_pip({"PIP_INDEX_URL": "https://a/simple", "PIP_CERT": "/a.pem", "PIP_CONFIG_FILE": os.devnull})
    uv = told_to_uv({"UV_DEFAULT_INDEX": "https://b/simple", "UV_CONSTRAINT": "/b.txt", "UV_NO_CONFIG": "1"})
    assert for_uv(pip, uv) == {"SSL_CERT_FILE": "/a.pem"}
    assert for_pip(uv, pip) == {"PIP_CONSTRAINT": "/b.txt"}


def test_certificates_proxies_and_trusted_hosts_go_over() -> None:
    pip = Told(
        proxy="http://p:8080", cert="/ca.pem", client_cert="/me.pem", trusted_hosts=("a", "b:1"), timeout_s="15.5"
    )
    variables = for_uv(pip, Told())
    assert variables["HTTPS_PROXY"] == variables["http_proxy"] == "http://p:8080" and variables["NO_PROXY"] == ""
    assert (variables["SSL_CERT_FILE"], variables["SSL_CLIENT_CERT"]) == ("/ca.pem", "/me.pem")
    assert (variables["UV_INSECURE_HOST"], variables["UV_HTTP_TIMEOUT"]) == ("a b:1", "15")
    uv = told_to_uv({"UV_NO_CONFIG": "1", "UV_INSECURE_HOST": "https://c d:1", "SSL_CERT_FILE": "/ca.pem"})
    assert for_pip(uv, pip) == {}
    assert for_pip(uv, Told()) == {"PIP_TRUSTED_HOST": "c d:1", "PIP_CERT": "/ca.pem"}


def test_an_index_without_encryption_that_uv_takes_is_one_that_pip_takes() -> None:
    uv = Told(index="http://u:p@mirror:8080/simple", extra_indexes=("https://safe/simple",))
    assert for_pip(uv, Told(trusted_hosts=("old",)))["PIP_TRUSTED_HOST"] == "old mirror:8080"


def test_the_builder_is_uv_where_it_is_and_what_the_variable_says(
    untold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # no package uv
    monkeypatch.setenv("PATH", str(tmp_path))
    assert installer().name == "pip"
    with pytest.raises(
        StepError, match=r"asks for uv, at least 0\.5; there is none, .*\nInstall it: .* -m pip install uv"
    ):
        installer({**os.environ, "WMSFORGE_BUILDER": "uv"})
    with pytest.raises(StepError, match=r"WMSFORGE_BUILDER is 'conda'; it may be pip or uv"):
        installer({**os.environ, "WMSFORGE_BUILDER": "conda"})
    uv = tmp_path / "uv"
    write(uv, "#!/bin/sh\necho uv 0.13.9\n")
    uv.chmod(0o755)
    assert (installer().name, installer().version) == ("uv", "uv 0.13.9")
    assert installer({**os.environ, "WMSFORGE_BUILDER": "pip"}).name == "pip"
    write(uv, "#!/bin/sh\necho uv 0.4.1\n")
    assert installer().name == "pip"
    with pytest.raises(StepError, match=r"at least 0\.5; .*uv says 'uv 0\.4\.1'"):
        installer({**os.environ, "WMSFORGE_BUILDER": "uv"})
