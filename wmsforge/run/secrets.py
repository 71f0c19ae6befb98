"""Says which variable of the environment a key came from that a provider does not take."""

from __future__ import annotations

import re
from collections.abc import Mapping

from wmsforge.errors import AuthenticationError, StepError

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
