"""A result as a message of LIS2-A2 (which was ASTM E1394): header, patient, order, results with comments, terminator.

Records end with a carriage return. Frames, their numbers and checksums belong to the transport (LIS1-A), as does sending.
The four delimiters are escaped by their names, and every character that is none of ISO 646's printable ones as its UTF-8
bytes in hexadecimal, `&X...&`.
"""

from collections.abc import Iterable

from edge.reports.analyte_codes import PANEL, Specimen, code_of, findings_of, notes_of, processing_of, status_of, time_of
from edge.reports.hl7_message import control_id
from edge.reports.run_report import Report

_NAMES = {"|": "&F&", "^": "&S&", "\\": "&R&", "&": "&E&"}

Field = str | tuple[str, ...]


def lis2_of(report: Report, specimen: Specimen, wall_time: str) -> str:
    """The message."""
    return "".join(f"{record}\r" for record in _records(report, specimen, wall_time))


def escaped(text: str) -> str:
    """Text as a field's content."""
    parts: list[str] = []
    for one in text:
        plain = " " <= one <= "~"
        parts.append(_NAMES.get(one, one) if plain else f"&X{one.encode('utf-8', 'surrogatepass').hex().upper()}&")
    return "".join(parts)


def record(kind: str, *fields: Field) -> str:
    """One record; empty fields at its end are left out."""
    texts = ["^".join(map(escaped, (one,) if isinstance(one, str) else one)) for one in fields]
    return "|".join((kind, *texts)).rstrip("|")


def _records(report: Report, specimen: Specimen, wall_time: str) -> Iterable[str]:
    what, ended = report.provenance, time_of(report.ended or report.began)
    sender = ("leukostream", what.leukostream_version, what.host)
    head = (control_id(report), "", sender, *("",) * 6, processing_of(report), "LIS2-A2", time_of(wall_time))
    yield "H|\\^&|" + record("", *head)[1:]
    for number, note in enumerate(notes_of(report), start=1):
        yield record("C", str(number), "I", note, "G")
    yield record("P", "1")
    order = ("1", report.sample_id or "", report.run_id, _test(code_of(PANEL, "unknown")))
    yield record("O", *order, *("",) * 20, status_of(report))  # when the specimen was drawn, for one, an edge is not told
    people = ", ".join(sorted({cell.judgement.who for cell in report.cells if cell.judgement}))
    for number, one in enumerate(findings_of(report, specimen), start=1):
        value = (str(number), _test(one.code), one.value, one.unit, "", "", "", status_of(report), "", people)
        yield record("R", *value, time_of(report.began), ended, what.host)
        if one.note:
            yield record("C", "1", "I", one.note, "G")
    yield record("L", "1", "N")


def _test(code: tuple[str, ...]) -> tuple[str, ...]:
    """Universal test ID: LOINC's where there is one in the first three components, our own code in the fourth."""
    universal, own = (code[:3], code[3]) if len(code) > 3 else (("", "", ""), code[0])
    return (*universal, own)
