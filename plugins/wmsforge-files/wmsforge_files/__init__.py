"""Loads files: text, Markdown, tables, JSON, HTML and PDF."""

from wmsforge.hookspecs import Register, hookimpl


@hookimpl
def register_loaders(register: Register) -> None:
    register(
        "files",
        "wmsforge_files.loader:FilesLoader",
        summary="Reads txt, md, csv, tsv, json, jsonl, html and pdf files, Korean encodings included.",
    )
