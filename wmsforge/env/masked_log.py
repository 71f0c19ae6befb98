"""A log that a child's output goes to, secrets taken out on the way."""

from __future__ import annotations

import codecs
import os
import select
import threading
from pathlib import Path
from types import TracebackType

from wmsforge.masking import Mask

READ_BYTES = 65_536
IDLE_S = 0.2
"""After so long without output, what there is of a line is written too."""


class MaskedLog:
    """Give `end` to a child as its standard output and error, and call `handed_over` when it has it.

    Args:
        path: Is written behind what it holds.
    """

    def __init__(self, path: Path, mask: Mask) -> None:
        self.path = path
        self.error: OSError | None = None
        """Why the file could not be written; the child's next output breaks it then."""
        self._mask = mask
        self._file = path.open("ab", buffering=0)
        self._source, self.end = os.pipe()
        self._copying = threading.Thread(target=self._copy, daemon=True)
        self._copying.start()

    def __enter__(self) -> MaskedLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.handed_over()

    def handed_over(self) -> None:
        """Let go of the child's end, so that the log ends with the child and all that it started."""
        if self.end >= 0:
            os.close(self.end)
            self.end = -1

    def wait(self, seconds: float) -> None:
        """Wait for the end, or so long: what a dead child left behind may hold it open."""
        self._copying.join(seconds)

    def last_lines(self, count: int) -> str:
        """Return the last lines, to be quoted."""
        lines = self.path.read_text("utf-8", errors="replace").splitlines()[-count:]
        if self.error is not None:
            lines.append(f"(the log could not be written: {self.error})")
        return "".join(f"  {line[:400]}\n" for line in lines)

    def _copy(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        output = select.poll()
        output.register(self._source, select.POLLIN)
        kept, ended = "", False
        try:
            while not ended:
                quiet = not output.poll(IDLE_S * 1000 if kept else None)
                data = b"" if quiet else os.read(self._source, READ_BYTES)
                ended = not data and not quiet
                kept = self._pass_on(kept + decoder.decode(data, final=ended), everything=not data)
        except OSError as error:
            self.error = error
        finally:
            os.close(self._source)
            self._file.close()

    def _pass_on(self, kept: str, everything: bool) -> str:
        """Write whole lines, or everything; return what is left for later: it may end within a secret."""
        whole = len(kept) if everything else max(kept.rfind("\n"), kept.rfind("\r")) + 1
        if len(kept) - whole > READ_BYTES:  # one line without end
            kept = self._mask(kept)
            whole = max(whole, len(kept) - self._mask.longest)
        self._write(self._mask(kept[:whole]))
        return kept[whole:]

    def _write(self, text: str) -> None:
        rest = memoryview(text.encode("utf-8", "surrogateescape"))
        while rest:
            rest = rest[self._file.write(rest) :]
