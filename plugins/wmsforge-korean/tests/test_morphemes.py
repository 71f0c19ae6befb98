"""Morphemes and sentences of the trade's Korean."""

import pytest
from wmsforge_korean.morphemes import TRADE_WORDS, morphemes, sentences


@pytest.mark.parametrize("word", TRADE_WORDS)
@pytest.mark.parametrize("sentence", ["{} 확정을 취소합니다.", "{}된 상품을 봅니다.", "휴일에도 {}가 되나요?"])
def test_words_of_the_trade_stay_whole(word, sentence):
    assert word in morphemes(sentence.format(word))


def test_codes_keep_their_numbers():
    assert morphemes("E-4012를 확인") == ["e", "4012", "확인"]
    assert morphemes("B-03-12-2에 적치") == ["b", "03-12-2", "적치"]


def test_sentences_are_spans_of_the_text():
    text = "하차합니다. 검수는 4.2 버전에서 합니다.\n적치합니다."
    assert [text[start:end] for start, end in sentences(text)] == [
        "하차합니다.",
        "검수는 4.2 버전에서 합니다.",
        "적치합니다.",
    ]
