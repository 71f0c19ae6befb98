"""RecordStore: written in order, read while written, in place only when complete."""

import asyncio
from pathlib import Path

import pytest

from wmsforge.errors import StepError
from wmsforge.records import Question
from wmsforge.store import record_store
from wmsforge.store.manifest import Counts, Manifest
from wmsforge.store.record_store import RecordStore, Rejection, read_rejected


def question(number: int) -> Question:
    return Question(id=f"{number:016x}", text=f"질문 {number}?")


def manifest(store: RecordStore[Question]) -> Manifest:
    counts = Counts(read=store.written, ok=store.written, made=store.written, out=store.written)
    return Manifest(
        step="q",
        kind="question_generator",
        components=[],
        fingerprint="f",
        identity={},
        digest=store.digest(),
        counts=counts,
    )


async def follow_all(store: RecordStore[Question]) -> list[str]:
    return [record.id async for batch in store.follow() for record in batch]


async def test_a_follower_reads_records_while_they_are_written_over_several_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_store, "PART_RECORDS", 10)
    store = RecordStore(tmp_path / "q", Question)
    store.start()
    early = asyncio.create_task(follow_all(store))
    for number in range(35):
        store.write(question(number))
        if number % 4 == 0:
            await asyncio.sleep(0)
    late = asyncio.create_task(follow_all(store))
    await asyncio.sleep(0)
    store.finish(manifest(store))
    expected = [question(number).id for number in range(35)]
    assert await early == expected
    assert await late == expected
    assert [record.id for record in store.read()] == expected
    assert sorted(path.name for path in (tmp_path / "q").iterdir()) == [
        "manifest.json",
        "part-00000.jsonl",
        "part-00001.jsonl",
        "part-00002.jsonl",
        "part-00003.jsonl",
        "rejected.jsonl",
    ]


def test_the_last_complete_output_stays_until_there_is_a_new_one(tmp_path: Path) -> None:
    first = RecordStore(tmp_path / "q", Question)
    first.start()
    first.write(question(1))
    first.finish(manifest(first))
    second = RecordStore(tmp_path / "q", Question)
    second.start()
    second.write(question(2))
    second.abandon()
    kept = Manifest.read(tmp_path / "q")
    assert kept is not None
    assert [record.id for record in RecordStore.complete(tmp_path / "q", Question, kept).read()] == [question(1).id]
    assert Manifest.read(tmp_path / "q.partial") is None


def test_the_digest_is_that_of_the_bytes_and_does_not_depend_on_the_run(tmp_path: Path) -> None:
    digests = set()
    for name in ("a", "b"):
        store = RecordStore(tmp_path / name, Question)
        store.start()
        for number in range(5):
            store.write(question(number))
        store.finish(manifest(store))
        digests.add(store.digest())
    assert len(digests) == 1


def test_rejected_records_keep_their_reason_and_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "q", Question)
    store.start()
    store.reject(Rejection(id="x", reason="too_short", detail="3 characters", record={"text": "왜?"}))
    store.write(question(1))
    store.finish(manifest(store))
    with (tmp_path / "q" / "rejected.jsonl").open("ab") as file:
        file.write(b'{"id": "torn')
    assert [(line.id, line.reason) for line in read_rejected(tmp_path / "q")] == [("x", "too_short")]


def test_a_damaged_line_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "q", Question)
    store.start()
    store.write(question(1))
    store.finish(manifest(store))
    (tmp_path / "q" / "part-00000.jsonl").write_text("{not json}\n", encoding="utf-8")
    with pytest.raises(StepError, match=r"part-00000\.jsonl holds a line that is no Question.*\n.*run again"):
        list(store.read())


def test_a_truncated_part_is_noticed_and_a_missing_one_named(tmp_path: Path) -> None:
    store = RecordStore(tmp_path / "q", Question)
    store.start()
    store.write(question(1))
    store.write(question(2))
    store.finish(manifest(store))
    part = tmp_path / "q" / "part-00000.jsonl"
    part.write_bytes(part.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(StepError, match=r"part-00000\.jsonl holds a line that is no Question"):
        list(store.read())
    part.unlink()
    with pytest.raises(StepError, match=r"part-00000\.jsonl is missing\.\n.*run again"):
        list(store.read())
