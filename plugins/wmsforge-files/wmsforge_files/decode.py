"""Bytes to text: finds the encoding, or says why it cannot.

In order: byte-order mark, ISO-2022-KR, UTF-16 without a mark, UTF-8, CP949 (which holds EUC-KR),
Johab, what the file declares, and lines of both UTF-8 and CP949. CP949 and Johab must also read as
Korean, since bytes of other languages are often valid in them too.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from wmsforge.errors import RecordError
from wmsforge_files.korean import could_be_korean, reads_as_korean

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""UTF-32 first, for its mark begins with that of UTF-16. UTF-8's mark needs no entry: `clean` drops it."""
_ISO_2022_KR = b"\x1b$)C"
_CP949_NAMES = {"euc-kr", "euckr", "ks_c_5601-1987", "ksc5601", "uhc", "ms949", "windows-949"}
_SAMPLE_BYTES = 65_536


@dataclass(frozen=True)
class Decoded:
    """Text, the encoding it was in, and what the user should know about that, if anything."""

    text: str
    encoding: str
    warning: str = ""


def decode(data: bytes, encoding: str = "auto", declared: str = "") -> Decoded:
    """Decode a file's bytes; nothing is dropped or replaced.

    Args:
        encoding: A codec that must fit, or "auto".
        declared: What the file says of itself, such as an HTML charset; believed when it fits and
            neither UTF-8 nor Korean does.

    Raises:
        RecordError: `wrong_encoding` if the given encoding does not fit, `unknown_encoding` if none does.
    """
    if encoding != "auto":
        return _strict(data, encoding)
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _strict(data, name, len(mark))
    if _ISO_2022_KR in data:
        return _strict(data, "iso2022_kr")
    found = _utf16_without_mark(data)
    if found:
        return found
    try:
        return Decoded(data.decode(), "utf-8")
    except UnicodeDecodeError as error:
        said = "cp949" if declared.lower() in _CP949_NAMES else declared
        # Korean goes before what is said: old pages call themselves Latin-1, which fits all bytes.
        found = _korean(data) or (_fitting(data, said) if said else None) or _mixed(data)
        if found is None:
            raise _unknown(data, error) from error
        return found


def _fitting(data: bytes, encoding: str) -> Decoded | None:
    try:
        return Decoded(data.decode(encoding), encoding)
    except (UnicodeError, LookupError):
        return None


def _strict(data: bytes, encoding: str, start: int = 0) -> Decoded:
    text = data[start:]
    try:
        return Decoded(text.decode(encoding), encoding)
    except UnicodeDecodeError as error:
        line = text[: error.start].decode(encoding, "replace").count("\n") + 1
        raise RecordError(
            "wrong_encoding",
            f"The text is not {encoding} from byte {start + error.start} (line {line}) on. "
            "Save the file as UTF-8, or name its encoding with the option 'encoding'.",
        ) from error


def _utf16_without_mark(data: bytes) -> Decoded | None:
    if b"\0" not in data:
        return None
    both = (_fitting(data, "utf-16-le"), _fitting(data, "utf-16-be"))
    return next((found for found in both if found and reads_as_korean(found.text)), None)


def _korean(data: bytes) -> Decoded | None:
    found = _fitting(data, "cp949")
    if found and (reads_as_korean(found.text) or (could_be_korean(found.text) and _guess(data) == "cp949")):
        return found
    found = _fitting(data, "johab")
    return found if found and reads_as_korean(found.text) else None


def _mixed(data: bytes) -> Decoded | None:
    """Decode lines of UTF-8 and of CP949 in one file, as left by tools that append to it."""
    texts, legacy, offset = [], [], 0
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        found = _fitting(line, "utf-8") or _fitting(line, "cp949")
        if found is None:
            return None
        if found.encoding == "cp949":
            legacy.append((number, offset, found.text))
        texts.append(found.text)
        offset += len(line)
    if len(legacy) == len(texts) or not reads_as_korean("".join(text for _, _, text in legacy)):
        return None
    number, offset, _ = legacy[0]
    warning = (
        f"{len(legacy)} of its {len(texts)} lines are CP949 and the others UTF-8; the first of them is line {number}, "
        f"at byte {offset}. All were read. Save the file as UTF-8 to be sure of them."
    )
    return Decoded("".join(texts), "utf-8 and cp949", warning)


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    known = ["cp949", "cp932", "euc_jp", "gb18030", "big5", "cp1252"]
    best = from_bytes(data[:_SAMPLE_BYTES], cp_isolation=known).best()
    return best.encoding if best else ""


def _unknown(data: bytes, error: UnicodeDecodeError) -> RecordError:
    line = data.count(b"\n", 0, error.start) + 1
    guess = _guess(data)
    remedy = f"It may be {guess}: set encoding: {guess}, or save" if guess else "Save"
    return RecordError(
        "unknown_encoding",
        f"Byte {error.start} (line {line}) is not UTF-8, and the text does not read as Korean CP949. "
        f"{remedy} the file as UTF-8.",
    )
