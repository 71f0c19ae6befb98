"""The options of a component: validated, with variables replaced and references tied."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from wmsforge.options import Options, Ref, RefTo, is_secret
from wmsforge.recipe import environment
from wmsforge.recipe.drafts import Draft, UseDraft
from wmsforge.recipe.environment import Replaced, has_variable
from wmsforge.recipe.kinds import find, load
from wmsforge.recipe.model import ComponentUse, Target
from wmsforge.recipe.source import Source
from wmsforge.recipe.wiring import needs_source
from wmsforge.recipe.wording import Fault, faults, value_at, written_path
from wmsforge.registry import Registry, a
from wmsforge.steps.base import Component
from wmsforge.yaml import yaml12


class Components:
    """Turns drafts of one recipe into components with valid options."""

    def __init__(
        self,
        source: Source,
        registry: Registry,
        environ: Mapping[str, str],
        models: Mapping[str, Draft],
        steps: Mapping[str, Draft],
    ) -> None:
        self._source = source
        self._registry = registry
        self._environ = environ
        self._models = models
        self._steps = steps

    def build(self, draft: UseDraft) -> ComponentUse | None:
        """Return the component with its options; None when something is wrong, which is reported."""
        if draft.offer is None or draft.component is None:
            return None
        options = self._options(draft, draft.component)
        if options is None:
            for name, ref in _references_as_written(draft):  # so that their mistakes are shown in the same go
                self._target(ref, (*draft.options_path, name))
            return None
        targets = []
        for path, ref in options.references():
            at = (*draft.options_path, *path)
            if has_variable(value_at(draft.options, written_path(path, draft.options))):
                self._source.problem(at, "a variable cannot say what is referred to. Write the id or the name itself.")
            elif target := self._target(ref, at):
                if ref.kind == "retriever" and target.inline and draft.offer.kind != "retriever":
                    self._source.problem(at, self._unbuilt(ref, target.inline, draft.offer.kind))
                targets.append((ref, target))
        line = self._source.line(draft.path)
        return ComponentUse(draft.offer, draft.component, options, draft.options, line, tuple(targets))

    def _options(self, draft: UseDraft, component: type[Component]) -> Options | None:
        written, path = draft.options, draft.options_path
        listing = f"wmsforge components {draft.offer.kind} {draft.offer.name}" if draft.offer else ""
        replaced = environment.replace(written, self._environ)
        wrong = dict(replaced.problems)
        fields = component.Options.model_fields
        for name in written:
            if name in fields and is_secret(fields[name]):
                wrong.update(dict.fromkeys(_plain_texts(written[name], (name,)), _SECRET))
        for at, message in wrong.items():
            self._source.problem((*path, *at), message)
        try:
            options = _validate(component.Options, replaced)
        except ValidationError as error:
            found = faults(error.errors(), written, fields, listing, replaced.hide)
        except Exception as error:  # a validator of a stranger's may raise anything
            said = replaced.hide(f"{type(error).__name__}: {error}")
            found = [Fault((), (), f"the plugin failed to check its options: {said}")]
        else:
            return None if wrong else options
        for fault in found:
            if any(fault.path[: len(at)] == at for at in wrong):
                continue
            bare = fault.missing and draft.path == path  # a name alone, so the reader may not know where options go
            hint = f" Write: {{use: {draft.name}, {fault.missing}: ...}}" if bare else ""
            self._source.problem((*path, *fault.path), fault.message + hint, (*path, *fault.where))
        return None

    def _target(self, ref: Ref, path: yaml12.Path) -> Target | None:
        """Return what a reference stands for: an id of this recipe before a component's name."""
        by_step = ref.kind == "retriever"
        own, other = (self._steps, self._models) if by_step else (self._models, self._steps)
        if ref.name in own:
            if own[ref.name].kind in ("", ref.kind):  # an unknown kind has been reported
                return Target(step=ref.name) if by_step else Target(model=ref.name)
            self._mismatch(ref, path, own[ref.name].kind)
            return None
        if ref.name in other and ref.name not in self._registry.names(ref.kind):
            self._mismatch(ref, path, other[ref.name].kind or "step")
            return None
        at = path if ref.name else (*path, "use")
        draft = UseDraft(ref.name or ref.use, at, dict(ref.options), path)
        offers = find(self._source, self._registry, draft, [ref.kind], self._ids(ref.kind))
        if not offers:
            return None
        draft.offer = offers[0]
        draft.component = load(self._source, self._registry, draft, offers[0])
        use = self.build(draft)
        return Target(inline=use) if use else None

    def _unbuilt(self, ref: Ref, use: ComponentUse, holder: str) -> str:
        """Say why an index may not stand inside of anything but another retriever: it has no documents."""
        name, steps = ref.name or ref.use, ", ".join(map(repr, self._ids("retriever")))
        options = "from: documents" if needs_source("retriever", use.component) else "..."
        remedy = f"Write the id of such a step: {steps}." if steps else f"Add one: index: {{use: {name}, {options}}}"
        return f"{a(holder)} searches the finished index of a step, and no step builds this {name!r}. {remedy}"

    def _mismatch(self, ref: Ref, path: yaml12.Path, kind: str) -> None:
        fitting = ", ".join(map(repr, self._ids(ref.kind)))
        hint = f" Of this kind: {fitting}." if fitting else ""
        self._source.problem(path, f"{ref.name!r} is {a(kind)}, and {a(ref.kind)} is needed here.{hint}")

    def _ids(self, kind: str) -> list[str]:
        return [draft.id for draft in (*self._models.values(), *self._steps.values()) if draft.kind == kind]


_SECRET = 'a secret may not stand in a recipe. Write "${NAME}" here, and set it: export NAME=...'


def _plain_texts(value: Any, path: yaml12.Path) -> Iterator[yaml12.Path]:
    """Yield the paths of the texts in a value that do not come from the environment."""
    if isinstance(value, str) and not has_variable(value):
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _plain_texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _plain_texts(item, (*path, index))


def _validate(options: type[Options], replaced: Replaced) -> Options:
    """Return valid options. Types are strict, so that a YAML value means what it is.

    Two things give way where a number or a boolean is needed: a variable, which is always text, is
    read as YAML; and a whole number such as 1e6 counts as an integer.

    Raises:
        ValidationError: If they are not valid.
    """
    try:
        return options.model_validate_json(json.dumps(replaced.value), strict=True)
    except ValidationError as error:
        changed = False
        for fault in error.errors():
            path = written_path(tuple(fault["loc"]), replaced.value)
            if fault["type"] in ("int_type", "float_type", "bool_type") and path:
                changed |= _give_way(replaced, path, fault["type"])
        if not changed:
            raise
    return options.model_validate_json(json.dumps(replaced.value), strict=True)


def _give_way(replaced: Replaced, path: yaml12.Path, needed: str) -> bool:
    holder = value_at(replaced.value, path[:-1])
    value = new = holder[path[-1]]
    if path in replaced.whole:
        scalar = yaml12.parse(replaced.whole[path]).value
        new = scalar if isinstance(scalar, (bool, int, float)) else value
    if needed == "int_type" and isinstance(new, float) and new.is_integer():
        new = int(new)
    holder[path[-1]] = new
    return new is not value


def _references_as_written(draft: UseDraft) -> Iterator[tuple[str, Ref]]:
    """Yield the references of options that do not validate as a whole: those that are well-formed and no variable."""
    assert draft.component is not None  # build() returned early without one
    for name, info in draft.component.Options.model_fields.items():
        inner = (mark for part in get_args(info.annotation) for mark in getattr(part, "__metadata__", ()))
        mark = next((mark for mark in (*info.metadata, *inner) if isinstance(mark, RefTo)), None)
        if mark is None or name not in draft.options or has_variable(draft.options[name]):
            continue
        with suppress(PydanticCustomError):  # not a reference at all, which validation has reported
            yield name, mark.parse(draft.options[name])
