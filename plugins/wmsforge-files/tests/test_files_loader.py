"""The loader finds files the same way everywhere, and tells what it left out and why."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from wmsforge_files.loader import FilesLoader, FilesOptions

from wmsforge.errors import RecordError
from wmsforge.plugins import load_plugins
from wmsforge.records import Document
from wmsforge.testing import LocalContext


def loader(path: Path | str, **options: Any) -> FilesLoader:
    return FilesLoader(FilesOptions(path=str(path), **options), LocalContext(Path()))


def write(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{name}의 본문")


def names(found: FilesLoader, folder: Path) -> list[str]:
    return [Path(source).relative_to(folder).as_posix() for source in found.sources()]


def test_document_carries_where_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "자료").mkdir()
    (tmp_path / "자료/재고.csv").write_text("품목,수량\n볼트,3\n")
    monkeypatch.chdir(tmp_path)
    files = loader("./자료")
    (source,) = files.sources()
    (document,) = files.load(source)
    assert document == Document(
        id=document.id,
        text="품목: 볼트\n수량: 3",
        path="자료/재고.csv",
        sha256=hashlib.sha256("품목,수량\n볼트,3\n".encode()).hexdigest(),
        row=1,
        fields={"품목": "볼트", "수량": "3"},
    )
    assert [document.id for document in files.load(source)] == [document.id]


def test_files_come_in_the_order_of_their_nfc_paths(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "나.txt")
    write(tmp_path, "다.txt", decomposed, "가.TXT", "b/나.md", "B.json")
    files = loader(tmp_path)
    assert names(files, tmp_path) == ["B.json", "b/나.md", "가.TXT", decomposed, "다.txt"]
    (document,) = files.load(tmp_path / decomposed)
    assert document.path == (tmp_path / "나.txt").as_posix()


def test_hidden_files_locks_and_leftovers_are_ignored(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", ".b.txt", ".git/c.txt", "~$d.docx", "Thumbs.db", ".DS_Store", "desktop.ini")
    files = loader(tmp_path)
    assert names(files, tmp_path) == ["a.txt"]
    assert files.context.warnings == []


def test_files_of_other_kinds_are_reported_once(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "보고.hwp", "표.XLSX", "메모")
    files = loader(tmp_path)
    assert files.inputs() == [tmp_path / "a.txt"]
    files.context.warnings.clear()
    assert names(files, tmp_path) == ["a.txt"]
    assert files.context.warnings == [
        "3 files were not read, for the files loader does not know .hwp, .xlsx, no suffix: 메모, 보고.hwp, 표.XLSX. "
        "Save them as PDF or text, or name them in the option 'exclude'."
    ]


@pytest.mark.parametrize(
    ("patterns", "exclude", "expected"),
    [
        (("**/*.md",), (), ["a.md", "위/b.md", "위/아래/c.MD"]),
        (("*.md", "위/?.txt"), (), ["a.md", "위/d.txt", "위/x.txt"]),
        (("./위/**",), ("**/아래/*", "*/*.txt"), ["위/b.md"]),
        ((unicodedata.normalize("NFD", "위") + "/b.*",), (), ["위/b.md"]),
        (("**/[x].txt",), (), ["위/[x].txt"]),
    ],
)
def test_patterns_choose_and_exclude_leaves_out(
    tmp_path: Path, patterns: tuple[str, ...], exclude: tuple[str, ...], expected: list[str]
) -> None:
    write(tmp_path, "a.md", "위/b.md", "위/아래/c.MD", "위/d.txt", "위/[x].txt", "위/x.txt")
    assert names(loader(tmp_path, patterns=patterns, exclude=exclude), tmp_path) == expected


def test_missing_path_names_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecordError) as caught:
        loader("data/없음").inputs()
    assert caught.value.detail == (
        f"there is no file or folder '{tmp_path}/data/없음'. "
        "Correct the option 'path'; a relative path starts at the current folder, wildcards go in 'patterns'."
    )


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "a.hwp")
    with pytest.raises(RecordError, match=r"no_files: no file in '.*' matches the patterns '\*\*/\*\.md'"):
        loader(tmp_path, patterns=["**/*.md"]).inputs()
    with pytest.raises(RecordError, match=r"no_files: 1 file was not read, .* does not know \.hwp: a\.hwp"):
        loader(tmp_path).inputs()


def test_single_file_is_read_whatever_the_patterns(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "b.txt")
    assert list(loader(tmp_path / "a.txt", patterns=["*.md"]).sources()) == [tmp_path / "a.txt"]


def test_links_are_followed_but_never_in_circles(tmp_path: Path) -> None:
    write(tmp_path, "a/b/c.txt")
    (tmp_path / "a/b/up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a/twin").symlink_to(tmp_path / "a/b", target_is_directory=True)
    write(tmp_path.parent / f"{tmp_path.name}-far", "d.txt")
    (tmp_path / "far").symlink_to(tmp_path.parent / f"{tmp_path.name}-far", target_is_directory=True)
    assert names(loader(tmp_path), tmp_path) == ["a/b/c.txt", "far/d.txt"]


def test_broken_link_stops_nothing_and_is_rejected(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    (tmp_path / "b.txt").symlink_to(tmp_path / "gone.txt")
    files = loader(tmp_path)
    assert files.inputs() == [tmp_path / "a.txt"]
    assert names(files, tmp_path) == ["a.txt", "b.txt"]
    with pytest.raises(RecordError, match="unreadable: The file cannot be read: No such file or directory"):
        files.load(tmp_path / "b.txt")


def test_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    os.mkfifo(tmp_path / "b.txt")
    assert names(loader(tmp_path), tmp_path) == ["a.txt"]


def test_too_large_file_is_rejected_unread(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 2_500_000)
    with pytest.raises(RecordError) as caught:
        loader(tmp_path, max_file_mb=2).load(tmp_path / "a.txt")
    assert (caught.value.reason, caught.value.detail) == (
        "too_large",
        "The file has 2.5 MB, the limit is 2. Split it, or raise the option 'max_file_mb'.",
    )


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", "\u3000\n"), ("a.json", "[]"), ("a.csv", ""), ("a.html", "<p>")]
)
def test_file_without_text_is_rejected(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(RecordError, match="empty: The file"):
        loader(tmp_path).load(tmp_path / name)


def test_warning_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1\n")
    files = loader(tmp_path)
    files.load(tmp_path / "a.csv")
    assert files.context.warnings == [
        f"{tmp_path}/a.csv: row 1: not 2 cells like the header. All their cells were read."
    ]


def test_encoding_option_is_checked_and_used(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="'cp9494' is no encoding of text; try 'auto', 'utf-8' or 'cp949'"):
        loader(tmp_path, encoding="cp9494")
    with pytest.raises(ValidationError, match="'base64' is no encoding of text"):
        loader(tmp_path, encoding="base64")
    (tmp_path / "a.txt").write_bytes("東京".encode("cp932"))
    (document,) = loader(tmp_path, encoding="cp932").load(tmp_path / "a.txt")
    assert document.text == "東京"


def test_password_is_no_part_of_the_identity() -> None:
    options = FilesOptions(path="a", pdf_password="비밀번호")
    assert "비밀번호" not in f"{options!r} {options.identity()}"


def test_plugin_offers_the_loader_without_importing_its_libraries() -> None:
    (offer,) = load_plugins().registry.find("files", ["loader"])
    assert load_plugins().registry.load(offer) is FilesLoader
    heavy = "{'pypdfium2', 'charset_normalizer', 'bs4'}"
    code = f"import sys, wmsforge_files.loader; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_option_is_described() -> None:
    assert all(field.description for field in FilesOptions.model_fields.values())
