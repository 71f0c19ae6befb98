"""A folder that LangChain's `FAISS.save_local` wrote: two files that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from wmsforge import options
from wmsforge.errors import RecordError, StepError
from wmsforge.options import NotIdentity
from wmsforge_langchain.docstore import Chunk, read_docstore
from wmsforge_langchain.pickle_machine import RefusedError
from wmsforge_langchain.vectors import UnreadableError, Vectors, read_vectors

REMEDY = (
    "Take the file from whom you trust, or let LangChain write it again where it was made: "
    "FAISS.load_local(...).save_local(...), with metadata of texts and numbers only."
)


class SavedOptions(options.Options):
    """Where the folder is, and what its files may take."""

    path: str = Field(min_length=1, description="Folder that LangChain's FAISS.save_local wrote; it is only read.")
    index_name: str = Field(
        default="index", min_length=1, description="Name of its two files: <index_name>.faiss and <index_name>.pkl."
    )
    max_file_mb: Annotated[float, NotIdentity()] = Field(
        default=2000, gt=0, description="Size in MB beyond which a file is not read."
    )

    @field_validator("index_name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if value != Path(value).name:
            raise ValueError("is the name of the files without folder and suffix, such as 'index'")
        return value


@dataclass(frozen=True)
class Saved:
    """The two files.

    Args:
        where: Begins every message, such as "Step 'index'".
    """

    own: SavedOptions
    where: str

    @property
    def documents(self) -> Path:
        return Path(self.own.path) / f"{self.own.index_name}.pkl"

    @property
    def index(self) -> Path:
        return Path(self.own.path) / f"{self.own.index_name}.faiss"

    def files(self, *wanted: Path) -> Sequence[Path]:
        """Return these files if they are there.

        Raises:
            RecordError: If one is missing; it says which indexes the folder holds.
        """
        for path in wanted:
            if not path.is_file():
                folder = Path(self.own.path)
                names = sorted(file.stem for file in folder.glob("*.faiss")) if folder.is_dir() else []
                others = (
                    f"It holds {', '.join(names)}: set 'index_name'." if names else "It holds no index of LangChain."
                )
                raise RecordError(
                    "no_index",
                    f"There is no file {path}. {others if folder.is_dir() else 'There is no such folder either.'}",
                )
        return wanted

    def read_documents(self) -> list[Chunk]:
        """Return the chunks in the order of the vectors.

        Raises:
            StepError: If the file is damaged, too large, or holds anything but documents.
        """
        self._check_size(self.documents)
        try:
            return read_docstore(self.documents.read_bytes())
        except RefusedError as error:
            raise StepError(
                f"{self.where} cannot read {self.documents}: the file {error}. Nothing of it was run.\n{REMEDY}"
            ) from error

    def read_vectors(self, folder: Path) -> Vectors:
        """Return the vectors; `folder` is for temporary files.

        Raises:
            StepError: If the file is damaged, too large, or of a kind that cannot give its vectors.
        """
        self._check_size(self.index)
        try:
            return read_vectors(self.index, int(self.own.max_file_mb * 1e6), folder)
        except UnreadableError as error:
            raise StepError(
                f"{self.where} cannot read {self.index}: the file {error}.\n"
                "Make the index again with LangChain, or let wmsforge embed its documents: "
                f"{{use: langchain-documents, path: {self.own.path}}} and {{use: faiss, from: documents}}"
            ) from error

    def _check_size(self, path: Path) -> None:
        megabytes = path.stat().st_size / 1e6
        if megabytes > self.own.max_file_mb:
            raise StepError(
                f"{self.where} does not read {path}: it has {megabytes:,.1f} MB, the limit is "
                f"{self.own.max_file_mb:g}.\nRaise the option 'max_file_mb'."
            )
