"""How a result's parts are called for a laboratory's information system, the same in HL7 and in LIS2.

LOINC codes and names are those that the panel 24318-8 (Manual Differential panel, Blood, version 2.78) lists for shares of
leukocytes in blood. A class that it does not name so plainly that there is no doubt has a code of our own alone, of the coding
system `99LEUKO`: reactive lymphocytes, nucleated red cells (whose code was replaced once) and all that is not certain.
"""

from dataclasses import dataclass
from typing import Literal

from edge.reports.run_report import Report

LOCAL = "99LEUKO"
"""Name of the coding system of our own; HL7 has names that begin with 99 for such."""
PANEL, TOTAL, FLAG = "leukocyte_differential", "leukocytes_counted", "flag"

Specimen = Literal["unknown", "blood"]
"""An edge counts what is on a slide, and is not told whether that is blood: LOINC's codes are for blood alone."""

LOINC = {
    "blast": ("26446-5", "Blasts/100 leukocytes in Blood"),
    "promyelocyte": ("26524-9", "Promyelocytes/100 leukocytes in Blood"),
    "myelocyte": ("26498-6", "Myelocytes/100 leukocytes in Blood"),
    "metamyelocyte": ("28541-1", "Metamyelocytes/100 leukocytes in Blood"),
    "neutrophil_band": ("26508-2", "Band form neutrophils/100 leukocytes in Blood"),
    "neutrophil_segmented": ("26505-8", "Segmented neutrophils/100 leukocytes in Blood"),
    "lymphocyte": ("26478-8", "Lymphocytes/100 leukocytes in Blood"),
    "monocyte": ("26485-3", "Monocytes/100 leukocytes in Blood"),
    "eosinophil": ("26450-7", "Eosinophils/100 leukocytes in Blood"),
    "basophil": ("30180-4", "Basophils/100 leukocytes in Blood"),
    "smudge": ("34992-8", "Smudge cells/100 leukocytes in Blood"),
}
Code = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a result: code components, value with its unit, and what else is to be said of it."""

    code: Code
    value: str
    unit: str
    note: str = ""


def code_of(name: str, specimen: Specimen) -> Code:
    """Identifier, text, coding system, and of a LOINC code the same again of our own."""
    local = (name, name.replace("_", " "), LOCAL)
    if specimen == "blood" and name in LOINC:
        return (*LOINC[name], "LN", *local)
    return local


def findings_of(report: Report, specimen: Specimen) -> list[Finding]:
    """The result as lines: every class with its share, its count and its limits; other cells per 100 leukocytes; flags."""
    result = report.result.differential
    found = [Finding(code_of(TOTAL, specimen), str(result.wbc_total), "{cells}")]
    for row in result.rows:
        limits = f"exact 95 % limits {row.low_percent:.1f} to {row.high_percent:.1f} %"
        note = f"{row.count} of {result.wbc_total} leukocytes, {limits}"
        found.append(Finding(code_of(row.label, specimen), f"{row.percent:.1f}", "%", note))
    for label, per_100 in result.non_wbc_per_100_wbc.items():
        found.append(
            Finding(code_of(label, specimen), f"{per_100:.1f}", "/100{WBCs}", f"{report.result.cells.get(label, 0)} cells")
        )
    return found + [Finding(code_of(FLAG, specimen), flag, "") for flag in report.flags]


def notes_of(report: Report) -> list[str]:
    """What has to stand before the numbers."""
    notes = [f"state {report.state}" + (f": {report.why}" if report.why else "")]
    notes += report.marks
    notes += [f"reviewed: {report.reviewed}"] if report.reviewed else []
    notes += [f"doubt: {remark.message}" for remark in report.remarks if remark.kind == "doubt"]
    return [*notes, "leukostream is a demonstration and no medical device"]


def status_of(report: Report) -> str:
    """F for a result that stands, P for a provisional one and for one that is not diagnostic: the same letters in both."""
    return "P" if report.state == "provisional" or report.marks else "F"


def processing_of(report: Report) -> str:
    """T (training) where the run itself says that it is no patient's, else P (production)."""
    return "T" if report.marks else "P"


def time_of(wall_time: str | None) -> str:
    """`2030-01-02T03:04:05.678+00:00` as `20300102030405`; empty for what is no time."""
    digits = "".join(character for character in (wall_time or "")[:19] if character.isdigit())
    return digits if len(digits) == 14 else ""
