"""YAML syntax errors in words for people who do not know YAML's grammar."""

from __future__ import annotations

from yaml.error import Mark, MarkedYAMLError

_SYNTAX = (
    ("'\\t'", False, "a tab cannot indent YAML. Use spaces."),
    ("mapping values are not allowed", False, "a ':' too many. Quote text that holds ': ', or mend the indentation."),
    ("could not find expected ':'", True, "this line has no 'key: value'. Add the ':', or mend the indentation."),
    ("expected <block end>", False, "the indentation does not fit the lines above."),
    ("cannot start any token", False, "text that begins with this character needs quotes."),
    ("scanning an alias", True, "text that begins with '*' needs quotes."),
    ("undefined alias", False, "no anchor of this name stands above. Text that begins with '*' needs quotes."),
    ("unknown escape character", False, "this escape is unknown. In single quotes a backslash is plain text."),
    ("unexpected end of stream", True, "the quote that opens here is not closed."),
    ("expected a single document", False, "a second document begins here ('---'); a recipe is one."),
)
"""Part of what PyYAML says, whether its context is the place to show, and what we say."""


def syntax_problem(error: MarkedYAMLError, text: str) -> tuple[Mark | None, str]:
    """Return where a syntax error stands and what it is, in words for people who do not know YAML's grammar."""
    said, context = error.problem or "", error.context or ""
    lines = text.splitlines()
    line = lines[error.problem_mark.line] if error.problem_mark and error.problem_mark.line < len(lines) else ""
    if "${" in line and "flow" in context:
        return error.problem_mark, 'inside braces and brackets a variable needs quotes: "${NAME}".'
    for part, at_context, message in _SYNTAX:
        if part in said or part in context:
            return error.context_mark if at_context else error.problem_mark, message
    return error.problem_mark or error.context_mark, f"not valid YAML: {said or context}."
