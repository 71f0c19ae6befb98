"""The YAML file of personas."""

from __future__ import annotations

from pathlib import Path

import pytest

from wmsforge.builtin.persona_file import load_personas
from wmsforge.errors import StepError
from wmsforge.records import Persona

SHIPPED = Path(__file__).resolve().parents[2] / "recipes" / "personas.yaml"


def test_shipped_personas_are_the_five_of_the_brief():
    personas = load_personas(SHIPPED)
    assert list(personas) == ["김영수", "박지현", "이민호", "최수진", "정태윤"]
    assert personas["최수진"].concerns == ("ERP 연동", "재고 정확도", "생산 연계")
    assert all(one.role and one.background and one.question_style for one in personas.values())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_fields_other_than_the_name_may_be_left_out(tmp_path, encoding):
    path = tmp_path / "personas.yaml"
    path.write_text("personas:\n- name: 김영수\n- {name: 박지현, concerns: [비용]}\n", encoding=encoding)
    assert load_personas(path) == {
        "김영수": Persona(name="김영수"),
        "박지현": Persona(name="박지현", concerns=("비용",)),
    }


def errors(tmp_path, text):
    path = tmp_path / "personas.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StepError) as caught:
        load_personas(path)
    return str(caught.value).replace(f"{path.as_posix()}:", "").replace(path.as_posix(), "FILE")


def test_all_mistakes_are_said_at_once_with_their_places(tmp_path):
    text = """\
personas:
  - name: 김영수
    concern: [비용]
  - role: 운영팀장
  - name: 이민호
    concerns: 비용
  - 최수진
  - name: ""
  - name: 정태윤
  - name: 정태윤
  - name: 12
"""
    assert errors(tmp_path, text).splitlines() == [
        "3:5  personas.0.concern: unknown field. Did you mean 'concerns'?",
        "4:5  personas.1.name: field required.",
        "6:5  personas.2.concerns: input should be a valid tuple.",
        "7:5  personas.3: must be a mapping of name, role, background, concerns, question_style; found '최수진'.",
        "8:5  personas.4.name: must not be empty.",
        "10:5  personas.6.name: the name '정태윤' is taken by the persona of line 9.",
        "11:5  personas.7.name: input should be a valid string.",
        "FILE has 7 errors.",
    ]


@pytest.mark.parametrize("text", ["- name: 김영수\n", "personas: []\n", "people: [{name: 김영수}]\n"])
def test_a_file_without_the_list_is_refused(tmp_path, text):
    message = "1:1  must hold the key 'personas' with a list: personas: [{name: ...}, ...]"
    assert errors(tmp_path, text) == f"{message}\nFILE has 1 error."


def test_a_file_that_is_not_yaml_is_refused(tmp_path):
    lines = errors(tmp_path, "personas:\n  - name: [김영수\n").splitlines()
    assert lines[0].startswith("3:1  ")
    assert lines[-1] == "FILE has 1 error."


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "personas.yaml"
    path.write_bytes("personas: [{name: 김영수}]".encode("utf-16"))
    with pytest.raises(StepError) as caught:
        load_personas(path)
    assert str(caught.value) == f"{path} is neither UTF-8 nor CP949 text.\nSave it as UTF-8."
