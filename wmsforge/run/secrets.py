"""The secrets of a recipe: which variables they come from, and what they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from wmsforge.errors import AuthenticationError, StepError
from wmsforge.recipe.model import ComponentUse, Recipe

_VARIABLE = re.compile(r"\$\{(\w+)")


def naming_variables(error: AuthenticationError, secrets: Mapping[str, str]) -> StepError:
    """Return the error with its remedy.

    Args:
        secrets: See `ComponentUse.secrets`.
    """
    options = [(option, name) for option, written in secrets.items() for name in _VARIABLE.findall(written)]
    if not options:
        return StepError(f"{error}\nGive it a key: api_key: ${{API_KEY}} in the recipe, and export API_KEY=...")
    named = " and ".join(f"{name} (option {option})" for option, name in options)
    return StepError(f"{error}\nCheck the variable {named}: export {options[0][1]}=...")


def secrets_of(recipe: Recipe, environ: Mapping[str, str]) -> dict[str, str]:
    """Return every secret that the recipe takes from the environment -> its variable as the recipe writes it."""
    written = [text for use in _uses(recipe) for text in use.secrets().values()]
    names = {name for text in written for name in _VARIABLE.findall(text)}
    return {environ[name]: "${" + name + "}" for name in sorted(names) if environ.get(name)}


def _uses(recipe: Recipe) -> Iterator[ComponentUse]:
    uses = [*recipe.models.values(), *(use for step in recipe.steps.values() for use in step.uses)]
    while uses:
        use = uses.pop()
        yield use
        uses += [target.inline for _, target in use.targets if target.inline]
