"""A result as an HL7 v2.5.1 message, OUL^R22: unsolicited observations, by specimen.

The text is written here and then parsed and validated by hl7apy. It is not written by hl7apy (1.3.5), because that leaves a
line break inside a field as it is, which ends the segment, and takes text that looks like an escape for one.
"""

import hashlib
from collections.abc import Iterable

from edge.contracts.errors import ConfigError, first_line
from edge.contracts.missing_parts import not_installed
from edge.reports.analyte_codes import (
    LOCAL,
    PANEL,
    Specimen,
    code_of,
    findings_of,
    notes_of,
    processing_of,
    status_of,
    time_of,
)
from edge.reports.run_report import Report

_ESCAPES = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}
_UTC = "+0000"
_ID_CHARACTERS = 20
"""Of MSH-10 in this version."""

Field = str | tuple[str, ...]
"""Text, or the components of one."""


def hl7_of(report: Report, specimen: Specimen, wall_time: str) -> str:
    """The message, its segments ended by a carriage return, without any frame of a transport.

    Raises `ConfigError` when hl7apy is not installed.
    """
    message = "".join(f"{segment}\r" for segment in _segments(report, specimen, wall_time))
    _validate(message)
    return message


def control_id(report: Report) -> str:
    """The same for the same result, another one once it was reviewed."""
    whole = "|".join((report.run_id, report.chain.last_link, report.chain.last_review_link, report.state))
    return hashlib.sha256(whole.encode()).hexdigest()[:_ID_CHARACTERS]


def escaped(text: str) -> str:
    """Text as a field's content: separators by their names, characters that no field may have as hexadecimal."""
    return "".join(_ESCAPES.get(one) or (one if one >= " " and one != "\x7f" else f"\\X{ord(one):02X}\\") for one in text)


def segment(name: str, *fields: Field) -> str:
    """One segment; empty fields at its end are left out."""
    texts = ["^".join(map(escaped, (one,) if isinstance(one, str) else one)) for one in fields]
    return "|".join((name, *texts)).rstrip("|")


def _segments(report: Report, specimen: Specimen, wall_time: str) -> Iterable[str]:
    what, ended = report.provenance, report.ended or report.began
    kind = ("OUL", "R22", "OUL_R22")
    head = ("leukostream", what.host, "", "", time_of(wall_time) + _UTC, "", kind, control_id(report), processing_of(report))
    yield "MSH|^~\\&|" + segment("", *head, "2.5.1", "", "", "", "", "", "UNICODE UTF-8")[1:]
    yield segment("SFT", "leukostream", what.leukostream_version, "leuko-edge", what.bundle_id)
    # One comment with a line each: the message has room for no second one here.
    yield "NTE|1|L|" + "~".join(map(escaped, notes_of(report)))
    drawn = ("BLD", "Whole blood", "HL70487") if specimen == "blood" else ("smear", "stained smear", LOCAL)
    yield segment("SPM", "1", report.sample_id or "", "", drawn)
    yield segment(
        "OBR",
        *("1", "", (report.run_id, "leukostream"), code_of(PANEL, "unknown")),
        *("",) * 17,  # when the specimen was drawn, for one, an edge is not told
        time_of(ended) + _UTC,
        *("", "", status_of(report)),
    )
    for number, one in enumerate(findings_of(report, specimen), start=1):
        unit = (one.unit, "", "UCUM") if one.unit else ""
        kind_of = "NM" if one.unit else "ST"
        value = (str(number), kind_of, one.code, "", one.value, unit, "", "", "", "", status_of(report))
        yield segment("OBX", *value, *("",) * 6, (what.host, "leukostream"), time_of(ended) + _UTC)
        if one.note:
            yield segment("NTE", "1", "L", one.note)


def _validate(message: str) -> None:
    try:
        from hl7apy.consts import VALIDATION_LEVEL  # noqa: PLC0415 - an extra, and slow to load
        from hl7apy.exceptions import HL7apyException  # noqa: PLC0415
        from hl7apy.parser import parse_message  # noqa: PLC0415
    except ImportError as problem:
        raise ConfigError(f"{not_installed(problem, 'hl7')}.") from problem
    try:
        parse_message(message, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=True).validate()
    except HL7apyException as problem:
        raise ConfigError(
            f"the message is none that HL7 2.5.1 allows ({first_line(problem)}); report this defect with the "
            "run's report as JSON."
        ) from problem
