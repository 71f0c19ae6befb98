"""Options in words."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from tiny_components import Ask, Both, Echo, Files, Index

from wmsforge.options import Options, Ref, RetrieverRef
from wmsforge.recipe.describe import OptionRow, option_rows


def said(options: type[Options]) -> dict[str, tuple[str, str]]:
    return {row.name: (row.type, row.default) for row in option_rows(options)}


def test_a_row_says_name_type_default_and_description() -> None:
    assert option_rows(Index.Options) == [
        OptionRow("embedder", "embedder", "unit", "Turns text into vectors."),
        OptionRow("chunk_chars", "integer >= 50 and <= 5000", "500", "Characters of a chunk at most."),
    ]


def test_types_and_defaults_are_in_words_of_yaml() -> None:
    assert said(Ask.Options) == {
        "model": ("chat_model", "required"),
        "topics": ("list of text", "[]"),
        "per_topic": ("integer >= 1", "1"),
        "tokens_per_minute": ("integer >= 1", "1000"),
        "style": ("'short' or 'long'", "short"),
        "greet": ("true or false", "false"),
        "temperature": ("number >= 0 and <= 2", "0.7"),
        "limit": ("integer or 'all'", "all"),
        "persona": ("mapping", "null"),
        "prefix": ("text", '""'),
    }
    assert said(Files.Options) == {"path": ("path", "required"), "patterns": ("list of text", '["*"]')}
    assert said(Both.Options) == {"retrievers": ("list of retriever", "required")}
    assert said(Echo.Options)["api_key"] == ("secret", "null")


class Unusual(Options):
    share: float = Field(default=0.5, gt=0, lt=1, description="A share.")
    folder: Path = Field(default=Path("a/b"), description="A folder.")
    key: SecretStr = Field(default=SecretStr("hidden"), description="A key.")
    one: Literal["only"] = Field(default="only", description="One choice.")
    counts: dict[str, int] = Field(default_factory=lambda: {"a": 1}, description="Counts.")
    retrievers: tuple[RetrieverRef, ...] = Field(
        default=(Ref("retriever", name="bm25"), Ref("retriever", use="faiss", options={"chunk_chars": 9})),
        description="Spread over\n    two lines.",
    )


def test_unusual_options_are_told_too_and_no_secret_is() -> None:
    assert said(Unusual) == {
        "share": ("number > 0 and < 1", "0.5"),
        "folder": ("path", "a/b"),
        "key": ("secret", "**********"),
        "one": ("'only'", "only"),
        "counts": ("mapping", '{"a": 1}'),
        "retrievers": ("list of retriever", '["bm25", {"use": "faiss", "chunk_chars": 9}]'),
    }
    assert option_rows(Unusual)[-1].description == "Spread over two lines."
