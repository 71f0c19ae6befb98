"""Markdown: one Document a file, as its reader would see it; headings stay, for the splitter uses them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count

from wmsforge_files.html import html_to_text
from wmsforge_files.source import Part, Source

# Between the fences each line is a key, a comment, or goes on with a value; else they are two rulers.
_FRONT_MATTER = re.compile(
    r"""\s*(?P<mark>---|\+\+\+)[ \t]*\n
    (?P<fields>(?:(?:[\w."'-]+[ ]*[:=]|[ \t]|-[ ]|[#\]}\[])[^\n]*\n|\n)*?)
    (?:(?P=mark)|\.\.\.)[ \t]*(?:\n|\Z)""",
    re.VERBOSE,
)
_TITLE_FIELD = re.compile(r"^title\s*[:=]\s*(?P<quote>[\"']?)(?P<title>[^>|\s].*?)(?P=quote)\s*$", re.MULTILINE)
_TITLE_HEADING = re.compile(r"^# +(?P<title>.+?)[ #]*$", re.MULTILINE)
_CODE = re.compile(r"^[ \t]*(?P<fence>```+|~~~+).*?(?:^[ \t]*(?P=fence)|\Z)|`[^`\n]+`", re.M | re.S)
# Stands for the code while the text around it changes; no text holds these two.
_PLACE = re.compile("\ufdd0(\\d+)\ufdd1")
_TABLE = re.compile(r"<table\b.*?</table>", re.S | re.I)
_COMMENT = re.compile(r"<!--.*?-->", re.S)
_BREAK = re.compile(r"<br\s*/?>", re.I)
_TAG = re.compile(
    r"</?(?:a|b|center|details|div|em|font|i|img|kbd|p|small|span|strong|sub|summary|sup|u)(?:\s[^<>]*)?/?>", re.I
)
_INCLUDE = re.compile(r"^[ \t]*\[!include\b.*$", re.MULTILINE | re.I)
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
# A link within the site leads nowhere once the page stands alone; an address is worth keeping.
_RELATIVE_LINK = re.compile(r"\[([^\[\]]+)\]\((?!\w+:)[^)]*\)")
_STRONG = re.compile(r"\*\*(?=\S)([^\n]+?)(?<=[^\s\\])\*\*")
_EMPHASIS = re.compile(r"(?<![\w*\\])\*(?=[^\s*])([^*\n]*[^\s\\*])\*(?![A-Za-z0-9*])")
_ESCAPE = re.compile(r"\\([<>_*~&\[\]()!.#+-])")


def read_markdown(source: Source) -> Iterator[Part]:
    """Yield the text without front matter, comments, HTML tags, emphasis, images and site-relative link targets."""
    text = source.text()
    front = _FRONT_MATTER.match(text)
    body = text[front.end() :] if front else text
    codes = [code[0] for code in _CODE.finditer(body)]
    numbers = count()
    plain = _plain(_CODE.sub(lambda _: f"\ufdd0{next(numbers)}\ufdd1", body))

    def with_code(text: str) -> str:
        return _PLACE.sub(lambda place: codes[int(place[1])], text)

    title = (_TITLE_FIELD.search(front["fields"]) if front else None) or _TITLE_HEADING.search(plain)
    text = re.sub(r"\n{3,}", "\n\n", plain).strip()
    yield Part(with_code(text), title=with_code(title["title"]).strip() if title else "")


def _plain(text: str) -> str:
    text = _COMMENT.sub("", text)
    text = _TABLE.sub(lambda table: f"\n\n{html_to_text(table[0])}\n\n", text)
    text = _TAG.sub("", _BREAK.sub("\n", text))
    text = _INCLUDE.sub("", text)
    text = _RELATIVE_LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    text = _EMPHASIS.sub(r"\1", _STRONG.sub(r"\1", text))
    return _ESCAPE.sub(r"\1", text)
