"""Licences of bases that are often tuned: a tuned model is under its base's terms too."""

from __future__ import annotations

import re

_KNOWN = (
    (r"solar-10\.7b-instruct", "cc-by-nc-4.0"),
    (r"solar-10\.7b", "apache-2.0"),
    (r"gemma-?[123]", "gemma"),
    (r"llama-?3\.1", "llama3.1"),
    (r"llama-?3\.2", "llama3.2"),
    (r"llama-?3\.3", "llama3.3"),
)
_NO_COMMERCE = ("cc-by-nc",)


def base_license(base: str) -> str | None:
    """Return the identifier of the licence on the model hub, None if the base is not known here."""
    name = base.lower()
    return next((license for pattern, license in _KNOWN if re.search(pattern, name)), None)


def forbids_commerce(license: str) -> bool:
    return license.startswith(_NO_COMMERCE)
