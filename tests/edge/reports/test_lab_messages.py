"""Results as HL7 and LIS2 messages: read back by another program's parser, by vectors, and with any text in them."""

import re
import sys
from pathlib import Path

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st
from support.edge_here import leuko_edge
from support.overlapping_journal import recorded_journal
from support.scripted_run import field_record, run_start, run_stop

from edge.contracts.records import RunOutcome
from edge.reports import Report, report_of
from edge.reports.analyte_codes import LOINC, findings_of, status_of, time_of
from edge.reports.hl7_message import control_id, hl7_of
from edge.reports.hl7_message import escaped as hl7_escaped
from edge.reports.lis2_message import escaped as lis2_escaped
from edge.reports.lis2_message import lis2_of
from edge.reports.run_report import Judgement

pytestmark = pytest.mark.timeout(60)
NOW = "2030-01-02T03:05:00.123+00:00"
TEXTS = st.text(max_size=40) | st.text("|^~\\&\r\nX0DFSTRE \x0b\x1c\x00é€", max_size=24)
JUDGED = Judgement(number=0, verdict="confirm", label="neutrophil_segmented", who="Dr. A|B", why="", wall_time=NOW)


def result(sample_id: str | None = "A12", outcome: RunOutcome = RunOutcome.COMPLETED, **provenance: object) -> Report:
    """Of a photographed slide: three neutrophils, two smudge cells per 100 leukocytes."""
    start = run_start("r", "S-1", **({"is_synthetic": False} | provenance)).model_copy(update={"sample_id": sample_id})
    return report_of([start, *(field_record("r", seq) for seq in (1, 2, 3)), run_stop("r", 4, outcome)])


def segments(message: str) -> list[list[str]]:
    assert message.endswith("\r") and "\n" not in message
    return [line.split("|") for line in message.split("\r")[:-1]]


def test_hl7apy_reads_the_message_and_its_values() -> None:
    message = parse_message(hl7_of(result(), "blood", NOW), validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=True)
    assert message.name == "OUL_R22" and message.validate()
    assert message.msh.msh_9.to_er7() == "OUL^R22^OUL_R22" and message.msh.msh_12.to_er7() == "2.5.1"
    specimen = message.oul_r22_specimen
    assert specimen.spm.spm_2.to_er7() == "A12" and specimen.spm.spm_4.to_er7() == "BLD^Whole blood^HL70487"
    order = specimen.oul_r22_order
    assert order.obr.obr_3.to_er7() == "r^leukostream" and order.obr.obr_25.to_er7() == "F"
    found = {one.obx.obx_3.to_er7().split("^")[0]: one for one in order.oul_r22_obxtcdsidnte_suppgrp}
    assert found["leukocytes_counted"].obx.obx_5.to_er7() == "3"
    neutrophils = found[LOINC["neutrophil_segmented"][0]]
    assert (neutrophils.obx.obx_5.to_er7(), neutrophils.obx.obx_6.to_er7()) == ("100.0", "%^^UCUM")
    assert neutrophils.obx.obx_3.to_er7().endswith("^LN^neutrophil_segmented^neutrophil segmented^99LEUKO")
    assert neutrophils.nte.nte_3.to_er7() == "3 of 3 leukocytes, exact 95 % limits 69.2 to 100.0 %"
    assert found["34992-8"].obx.obx_6.to_er7() == "/100{WBCs}^^UCUM"


LIS2_VECTOR = [
    r"H|\^&|{id}||leukostream^0.1.0^scanner-7|||||||P|LIS2-A2|20300102030500",
    "C|1|I|state final|G",
    "C|2|I|leukostream is a demonstration and no medical device|G",
    "P|1",
    "O|1|A12|r|^^^leukocyte_differential|||||||||||||||||||||F",
    "R|1|^^^leukocytes_counted|3|{{cells}}||||F|||20300102030405|20300102030405|scanner-7",
    "R|2|26505-8^Segmented neutrophils/100 leukocytes in Blood^LN^neutrophil_segmented|100.0|%||||F|||20300102030405|"
    "20300102030405|scanner-7",
    "C|1|I|3 of 3 leukocytes, exact 95 % limits 69.2 to 100.0 %|G",
    "R|3|34992-8^Smudge cells/100 leukocytes in Blood^LN^smudge|2.0|/100{{WBCs}}||||F|||20300102030405|20300102030405|"
    "scanner-7",
    "C|1|I|0 cells|G",
    "R|4|^^^flag|too few (3, limit 100), chosen here|||||F|||20300102030405|20300102030405|scanner-7",
    "L|1|N",
]


def test_a_lis2_message_letter_by_letter() -> None:
    report = result()
    expected = "".join(f"{line.format(id=control_id(report))}\r" for line in LIS2_VECTOR)
    assert lis2_of(report, "blood", NOW) == expected


@pytest.mark.parametrize(
    ("text", "lis2", "hl7"),
    [
        pytest.param("a|b", "a&F&b", "a\\F\\b", id="the field's separator"),
        pytest.param("a^b", "a&S&b", "a\\S\\b", id="the component's"),
        pytest.param("a\\b", "a&R&b", "a\\E\\b", id="LIS2 repeats by it, HL7 escapes by it"),
        pytest.param("a&b", "a&E&b", "a\\T\\b", id="LIS2 escapes by it, HL7 separates by it"),
        pytest.param("a~b", "a~b", "a\\R\\b", id="HL7 repeats by it"),
        pytest.param("a\rb\nc", "a&X0D&b&X0A&c", "a\\X0D\\b\\X0A\\c", id="what would end a segment"),
        pytest.param("é€", "&XC3A9&&XE282AC&", "é€", id="more than ASCII has: HL7 says that it is UTF-8"),
        pytest.param("\\F\\", "&R&F&R&", "\\E\\F\\E\\", id="what looks like an escape"),
        pytest.param("&F&", "&E&F&E&", "\\T\\F\\T\\", id="what looks like the other's"),
    ],
)
def test_vectors_of_what_is_escaped(text: str, lis2: str, hl7: str) -> None:
    assert (lis2_escaped(text), hl7_escaped(text)) == (lis2, hl7)


def read_hl7(text: str) -> str:
    names = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}
    return re.sub(r"\\(?:X([0-9A-F]{2})|([FSTRE]))\\", lambda m: chr(int(m[1], 16)) if m[1] else names[m[2]], text)


def read_lis2(text: str) -> str:
    names = {"F": "|", "S": "^", "R": "\\", "E": "&"}
    return re.sub(
        r"&(?:X([0-9A-F]+)|([FSRE]))&",
        lambda m: bytes.fromhex(m[1]).decode("utf-8", "surrogatepass") if m[1] else names[m[2]],
        text,
    )


@settings(max_examples=200)
@given(TEXTS)
def test_any_text_is_read_as_it_was(text: str) -> None:
    hl7, lis2 = hl7_escaped(text), lis2_escaped(text)
    assert not set("|^~&\r\n\x00\x0b\x1c") & set(hl7) and lis2.isascii() and lis2.isprintable()
    assert not set("|^\\") & set(lis2)
    assert read_hl7(hl7) == text and read_lis2(lis2) == text


@settings(max_examples=12, deadline=None)
@given(st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=20) | TEXTS.filter(lambda text: text != ""))
def test_no_name_becomes_a_part_of_a_message(name: str) -> None:
    report = result().model_copy(update={"sample_id": name})
    plain = result()
    for write, read, at in ((hl7_of, read_hl7, 2), (lis2_of, read_lis2, 2)):
        found, expected = segments(write(report, "unknown", NOW)), segments(write(plain, "unknown", NOW))
        assert [line[0] for line in found] == [line[0] for line in expected], "as many segments of the same kinds"
        (said,) = (line[at] for line in found if line[0] in {"SPM", "O"})
        assert read(said) == name


@pytest.mark.parametrize(
    ("report", "status", "processing"),
    [
        pytest.param(result(), "F", "P", id="a photographed slide that ended as it should"),
        pytest.param(result(outcome=RunOutcome.INTERRUPTED), "P", "P", id="the edge went down"),
        pytest.param(result(is_synthetic=True), "P", "T", id="a drawn slide"),
        pytest.param(result(bundle_trained=False), "P", "T", id="weights that were never trained"),
    ],
)
def test_what_is_provisional_or_nobody_s_says_so(report: Report, status: str, processing: str) -> None:
    hl7, lis2 = segments(hl7_of(report, "unknown", NOW)), segments(lis2_of(report, "unknown", NOW))
    assert {line[11] for line in hl7 if line[0] == "OBX"} == {line[8] for line in lis2 if line[0] == "R"} == {status}
    assert (hl7[0][10], lis2[0][11]) == (processing, processing) and status_of(report) == status


def test_codes_of_blood_are_given_only_when_somebody_says_that_it_is_blood() -> None:
    unknown = hl7_of(result(), "unknown", NOW)
    assert "^LN^" not in unknown and "HL70487" not in unknown and "^99LEUKO" in unknown
    assert {code[2] for code in (one.code for one in findings_of(result(), "blood"))} == {"99LEUKO", "LN"}
    codes = [code for code, _ in LOINC.values()]
    assert len(set(codes)) == len(codes)
    for code in codes:  # LOINC's check digit: Luhn's, over the digits before it
        digits = [int(one) for one in reversed(code.split("-")[0])]
        total = sum(sum(divmod(2 * one, 10)) if at % 2 == 0 else one for at, one in enumerate(digits))
        assert int(code.split("-")[1]) == -total % 10, code


def test_a_reviewed_result_is_another_message_and_names_who_has_looked() -> None:
    start, *rest = [run_start("r", "S-1", is_synthetic=False), *(field_record("r", seq) for seq in (1, 2, 3)), run_stop("r", 4)]
    reviewed = report_of([start, *rest], {"f0c0": JUDGED})
    assert reviewed.state == "reviewed" and control_id(reviewed) != control_id(result())
    assert "reviewed: 1 of 3 cells, by Dr. A\\F\\B" in hl7_of(reviewed, "unknown", NOW)
    assert {line[10] for line in segments(lis2_of(reviewed, "unknown", NOW)) if line[0] == "R"} == {"Dr. A&F&B"}


@pytest.mark.parametrize(
    ("wall_time", "said"),
    [
        ("2030-01-02T03:04:05.678+00:00", "20300102030405"),
        ("2030-01-02T03:04:05Z", "20300102030405"),
        ("monday", ""),
        (None, ""),
    ],
)
def test_times(wall_time: str | None, said: str) -> None:
    assert time_of(wall_time) == said


def test_files_are_written_as_they_are_sent_and_without_hl7apy_a_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = recorded_journal(tmp_path)
    words = ["export", "run-a", "--journal", str(journal), "--out", str(tmp_path / "message"), "--as"]
    assert leuko_edge(*words, "astm").code == 0
    assert (tmp_path / "message").read_bytes().startswith(b"H|\\^&|") and b"|A12|" in (tmp_path / "message").read_bytes()
    monkeypatch.setitem(sys.modules, "hl7apy.consts", None)
    done = leuko_edge(*words, "hl7")
    assert done.code == 2 and "pip install 'leukostream[hl7]'" in done.err and done.err.count("\n") == 1
