"""The chat template as servers read it: they do not know the marks that say which tokens a trainer learns."""

from __future__ import annotations

import re

_MARK = re.compile(r"(\{%[-+]?\s*)(end)?generation(\s*[-+]?%\})")


def serving_template(template: str) -> str:
    """Return the template with `{% generation %}` marks as `{% if true %}`: it renders the same bytes.

    A block stays a block, for the white space around a block is trimmed as around no other thing.
    """
    return _MARK.sub(lambda mark: f"{mark[1]}{'endif' if mark[2] else 'if true'}{mark[3]}", template)
