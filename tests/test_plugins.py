"""The plugin host: finds plugins, leaves disabled ones alone, survives broken ones."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from wmsforge import hookspecs
from wmsforge.errors import PluginError
from wmsforge.plugins import BUILTIN, HOOKS, REGISTERING, PluginHost, load_plugins

IMPORT = "from wmsforge.hookspecs import hookimpl\n"
RETRIEVER = (
    IMPORT
    + """
@hookimpl
def register_retrievers(register):
    register("{name}", "{module}.heavy:Heavy", summary="A test's retriever.")
"""
)


class Site:
    """A folder of fake distributions, like a site-packages of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: list[str] = []

    def plugin(self, name: str, source: str, version: str = "1.0") -> str:
        """Install a distribution whose entry point is one module, and return the module's name."""
        module = name.replace("-", "_")
        self.modules.append(module)
        (self.folder / f"{module}.py").write_text(dedent(source).replace("{module}", module), encoding="utf-8")
        info = self.folder / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[{hookspecs.GROUP}]\n{module} = {module}\n")
        return module

    def load(self, **options: Any) -> PluginHost:
        """Load the plugins of this folder and no others."""
        found = importlib.metadata.distributions(path=[str(self.folder)])
        entry_points = [point for distribution in found for point in distribution.entry_points]
        return load_plugins(entry_points=entry_points, **options)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("WMSFORGE_PLUGINS", raising=False)
    made = Site(tmp_path)
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)


def test_a_plugin_is_known_by_its_distribution_and_offers_without_importing_targets(site: Site) -> None:
    module = site.plugin("wmsforge-lazy", RETRIEVER.format(name="lazy", module="{module}"), version="2.1")
    host = site.load()
    (offer,) = host.registry.find("lazy", ["retriever"])
    assert (offer.plugin, offer.version, offer.target) == ("wmsforge-lazy", "2.1", f"{module}.heavy:Heavy")
    assert f"{module}.heavy" not in sys.modules
    plugin = host.plugins[1]
    assert (plugin.name, plugin.version, plugin.status) == ("wmsforge-lazy", "2.1", "loaded")
    assert plugin.hooks == ("register_retrievers",)


def test_the_core_registers_its_components_through_the_same_hooks(site: Site) -> None:
    host = site.load()
    assert [plugin.name for plugin in host.plugins] == [BUILTIN]
    assert set(host.plugins[0].hooks) <= set(HOOKS)
    assert {offer.plugin for offer in host.registry.offers} == {BUILTIN}


def test_every_target_of_the_core_imports(site: Site) -> None:
    registry = site.load().registry
    for offer in registry.offers:
        assert registry.load(offer)


@pytest.mark.parametrize("disabled", ["wmsforge-off", "wmsforge_off", "WMSForge.Off"])
def test_a_disabled_plugin_is_not_imported_and_its_components_are_still_named(site: Site, disabled: str) -> None:
    module = site.plugin("wmsforge-off", RETRIEVER.format(name="off", module="{module}"))
    host = site.load(disabled=[disabled])
    assert host.plugins[1].status == "disabled"
    assert module not in sys.modules
    with pytest.raises(PluginError) as raised:
        host.registry.find("off", ["retriever"])
    assert str(raised.value) == (
        "retriever 'off' comes from the plugin 'wmsforge-off', which is disabled. "
        "Enable it: leave it out of --no-plugin, and name it in WMSFORGE_PLUGINS if that is set."
    )


@pytest.mark.parametrize(("wanted", "status"), [("", "disabled"), ("wmsforge-a", "disabled"), ("wmsforge-b", "loaded")])
def test_wmsforge_plugins_names_the_only_ones_to_load(
    site: Site, monkeypatch: pytest.MonkeyPatch, wanted: str, status: str
) -> None:
    site.plugin("wmsforge-a", RETRIEVER.format(name="a", module="{module}"))
    module = site.plugin("wmsforge-b", RETRIEVER.format(name="b", module="{module}"))
    monkeypatch.setenv("WMSFORGE_PLUGINS", wanted)
    host = site.load()
    assert {plugin.name: plugin.status for plugin in host.plugins}["wmsforge-b"] == status
    assert (module in sys.modules) == (status == "loaded")
    assert "rag" in host.registry.names("answer_generator")


def test_a_name_to_disable_that_is_not_installed_is_an_error_with_close_names(site: Site) -> None:
    site.plugin("wmsforge-retrievers", "")
    with pytest.raises(PluginError) as raised:
        site.load(disabled=["wmsforge-retreivers"])
    assert str(raised.value) == (
        "Plugin 'wmsforge-retreivers' is not installed. Did you mean 'wmsforge-retrievers'?\n"
        "List what is: wmsforge plugins"
    )


def test_the_command_line_does_not_import_a_disabled_plugin(site: Site) -> None:
    module = site.plugin("wmsforge-off", "raise SystemExit('imported')")
    script = (
        "import sys\nfrom wmsforge.cli import main\n"
        "try:\n    main(['--no-plugin', 'wmsforge-off', 'plugins'])\n"
        f"finally:\n    print('imported' if {module!r} in sys.modules else 'left alone')\n"
    )
    environment = os.environ | {"PYTHONPATH": str(site.folder)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "left alone"
    assert any(line.split() == ["wmsforge-off", "1.0", "disabled"] for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import package_that_is_not_there", "ModuleNotFoundError: No module named 'package_that_is_not_there'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        (
            IMPORT + "@hookimpl\ndef register_retreivers(register): ...",
            "PluginError: hook 'register_retreivers' is unknown. "
            "Did you mean 'register_retrievers' or 'register_servers' or 'register_trainers'?",
        ),
        (
            IMPORT + "@hookimpl\ndef register_retrievers(register):\n    register('x', 'y')",
            "TypeError: _register.<locals>.register() missing 1 required keyword-only argument: 'summary'",
        ),
    ],
)
def test_a_broken_plugin_is_kept_with_its_error_and_the_others_load(site: Site, source: str, error: str) -> None:
    site.plugin("wmsforge-broken", source)
    site.plugin("wmsforge-fine", RETRIEVER.format(name="fine", module="{module}"))
    host = site.load()
    broken = next(plugin for plugin in host.plugins if plugin.name == "wmsforge-broken")
    assert broken.status == "failed"
    assert broken.error == error
    assert broken.details.startswith("Traceback (most recent call last):")
    assert host.registry.names("retriever") == ["fine"]


def test_a_component_of_a_broken_plugin_is_told_with_its_error(site: Site) -> None:
    site.plugin("wmsforge-broken", "import missing_peft\n" + RETRIEVER.format(name="lost", module="{module}"))
    with pytest.raises(PluginError) as raised:
        site.load().registry.find("lost", ["retriever"])
    assert str(raised.value) == (
        "retriever 'lost' comes from the plugin 'wmsforge-broken', which is installed but failed to load: "
        "ModuleNotFoundError: No module named 'missing_peft'. Details: wmsforge plugins --failed"
    )


def test_an_observer_of_a_broken_plugin_is_not_called(site: Site) -> None:
    source = """
        calls = []

        @hookimpl
        def record_rejected(step): calls.append(step)

        @hookimpl
        def step_started(nonsense): ...
    """
    module = site.plugin("wmsforge-broken", IMPORT + dedent(source))
    host = site.load()
    assert host.plugins[1].status == "failed"
    host.hook.record_rejected(step="a", record_id="b", reason="c", detail="d")
    assert sys.modules[module].calls == []


def test_a_name_that_two_plugins_offer_names_both_and_the_plugin_chooses(site: Site) -> None:
    for name in ("wmsforge-one", "wmsforge-two"):
        site.plugin(name, RETRIEVER.format(name="twin", module="{module}"))
    registry = site.load().registry
    with pytest.raises(PluginError) as raised:
        registry.find("twin", ["retriever"])
    assert str(raised.value) == (
        "retriever 'twin' is offered by 'wmsforge-one' 1.0 and 'wmsforge-two' 1.0. Choose one: use: wmsforge-one/twin"
    )
    assert [offer.plugin for offer in registry.find("wmsforge-two/twin", ["retriever"])] == ["wmsforge-two"]
    assert [(first.plugin, second.plugin) for first, second in registry.clashes()] == [("wmsforge-one", "wmsforge-two")]


def test_two_hosts_do_not_know_of_each_other(site: Site) -> None:
    first = site.load()
    site.plugin("wmsforge-late", RETRIEVER.format(name="late", module="{module}"))
    assert "late" in site.load().registry.names("retriever")
    assert "late" not in first.registry.names("retriever")


@pytest.fixture
def offered(site: Site) -> Callable[[str], str]:
    """Return the kind of what a plugin offers through one hook."""

    def offered(hook: str) -> str:
        source = f'@hookimpl\ndef {hook}(register):\n    register("x", "y:Z", summary="s")\n'
        site.plugin("wmsforge-hooked", IMPORT + source)
        (offer,) = (offer for offer in site.load().registry.offers if offer.plugin == "wmsforge-hooked")
        return offer.kind

    return offered


def test_hook_register_loaders(offered: Callable[[str], str]) -> None:
    assert offered("register_loaders") == "loader"


def test_hook_register_retrievers(offered: Callable[[str], str]) -> None:
    assert offered("register_retrievers") == "retriever"


def test_hook_register_question_generators(offered: Callable[[str], str]) -> None:
    assert offered("register_question_generators") == "question_generator"


def test_hook_register_answer_generators(offered: Callable[[str], str]) -> None:
    assert offered("register_answer_generators") == "answer_generator"


def test_hook_register_filters(offered: Callable[[str], str]) -> None:
    assert offered("register_filters") == "filter"


def test_hook_register_trainers(offered: Callable[[str], str]) -> None:
    assert offered("register_trainers") == "trainer"


def test_hook_register_exporters(offered: Callable[[str], str]) -> None:
    assert offered("register_exporters") == "exporter"


def test_hook_register_servers(offered: Callable[[str], str]) -> None:
    assert offered("register_servers") == "server"


def test_hook_register_chat_models(offered: Callable[[str], str]) -> None:
    assert offered("register_chat_models") == "chat_model"


def test_hook_register_embedders(offered: Callable[[str], str]) -> None:
    assert offered("register_embedders") == "embedder"


def test_hook_register_evaluators(offered: Callable[[str], str]) -> None:
    assert offered("register_evaluators") == "evaluator"


def test_hook_register_environments(site: Site) -> None:
    source = (
        f"{IMPORT}@hookimpl\ndef register_environments(register):\n"
        "    register('train', 'a_package:locks', extra='train', summary='To train in.')\n"
    )
    site.plugin("wmsforge-owner", source)
    registry = site.load().registry
    offer = registry.environment("train")
    assert (offer.plugin, offer.package, offer.target, offer.extra) == (
        "wmsforge-owner", "a_package", "a_package:locks", "train",
    )  # fmt: skip
    with pytest.raises(PluginError, match=r"No environment is called 'trian'. Did you mean 'train'\?"):
        registry.environment("trian")


def test_an_environment_of_two_plugins_is_an_error_that_names_both(site: Site) -> None:
    for plugin in ("wmsforge-a", "wmsforge-b"):
        source = f"{IMPORT}@hookimpl\ndef register_environments(register):\n"
        site.plugin(plugin, source + "    register('train', 'p:locks', extra='train', summary='')\n")
    with pytest.raises(PluginError, match="is offered by wmsforge-a and wmsforge-b"):
        site.load().registry.environment("train")


@pytest.fixture
def watched(site: Site) -> Callable[..., dict[str, Any]]:
    """Return what a plugin sees when an observer hook is called."""

    def watched(hook: str, **arguments: Any) -> dict[str, Any]:
        names = ", ".join(arguments)
        source = f"seen = []\n@hookimpl\ndef {hook}({names}):\n    seen.append(dict(locals()))\n"
        module = site.plugin("wmsforge-watching", IMPORT + source)
        getattr(site.load().hook, hook)(**arguments)
        (seen,) = sys.modules[module].seen
        return dict(seen)

    return watched


def test_hook_step_started(watched: Callable[..., dict[str, Any]]) -> None:
    arguments = {"step": "answers", "component": "answer_generator/rag"}
    assert watched("step_started", **arguments) == arguments


def test_hook_step_finished(watched: Callable[..., dict[str, Any]]) -> None:
    arguments = {"step": "answers", "manifest": {"out": 3}}
    assert watched("step_finished", **arguments) == arguments


def test_hook_record_rejected(watched: Callable[..., dict[str, Any]]) -> None:
    arguments = {"step": "kept", "record_id": "0f", "reason": "short", "detail": "2 characters"}
    assert watched("record_rejected", **arguments) == arguments


def test_hook_call_finished(watched: Callable[..., dict[str, Any]]) -> None:
    arguments = {"step": "answers", "model": "expert", "seconds": 0.5, "usage": {"prompt_tokens": 3}, "reused": False}
    assert watched("call_finished", **arguments) == arguments


def test_every_hook_has_a_test_and_every_kind_a_hook() -> None:
    tested = {name.removeprefix("test_hook_") for name in globals() if name.startswith("test_hook_")}
    assert tested == set(HOOKS)
    assert set(REGISTERING) <= set(HOOKS)
