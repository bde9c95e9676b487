"""What a report says of a run; every form that a person or a program reads is made from this."""

from typing import Literal

from pydantic import Field

from edge.contracts.base import Strict
from edge.contracts.records import Differential, FieldStatus, Provenance

State = Literal["provisional", "final", "reviewed"]
"""Provisional: the run has not ended, or not as it should, or its records are not whole. Reviewed: people have judged cells."""

Basis = Literal["reviewed", "policy", "slide", "net", "raw", "carried"]
BASES: dict[Basis, str] = {
    "reviewed": "as reviewed by a person",
    "policy": "the same, smudge cells taken for lymphocytes, as the order says",
    "slide": "each cell once, although fields overlap",
    "net": "without fields that were imaged anew",
    "raw": "each field as it was counted",
    "carried": "with the runs that this one continues",
}

Box = tuple[float, float, float, float]


class ReportedSums(Strict):
    """Cells per label and the differential of them, counted in one way."""

    basis: Basis
    cells: dict[str, int]
    differential: Differential


class Judgement(Strict):
    """What a person has said of a cell last. `label` is None for one that was rejected: no cell, or none to be counted."""

    number: int = Field(description="of the review among those of its run, from 0")
    verdict: Literal["label", "reject", "confirm", "add"]
    label: str | None
    who: str
    why: str
    wall_time: str


class ReportedCell(Strict):
    """One detection, or a cell that a person has added. Of several views of one cell exactly one `counts`, and gives the cell
    its `label`."""

    id: str = Field(description="f FIELD INDEX c PLACE IN ITS DETECTIONS, a instead of c for an added one; stays for ever")
    field_index: int
    label: str = Field(description="as the edge called it, or the person who added it")
    best_class: str
    is_wbc: bool
    score: float
    presence: float
    margin: float
    runner_up: str | None
    probability: float | None
    box_px: Box = Field(description="x1 y1 x2 y2 in pixels of its field; x2, y2 exclusive")
    size_um: tuple[float, float]
    touches_border: bool
    stage_um: tuple[float, float] | None = Field(description="centre of the box on the stage; null where nobody said")
    counts: bool = Field(description="whether it stands for its cell; false for a further view of it, and for a replaced field")
    same_as: str | None = Field(description="the view that stands for the same cell; null for that view itself")
    of_earlier_run: bool = Field(False, description="whether its cell was counted by a run that this one continues")
    judgement: Judgement | None = None
    added: bool = Field(
        False, description="whether a person has added it, because the edge had missed it; it has no score then"
    )
    box_is_assumed: bool = Field(False, description="whether the person has said where it is, and its size was assumed")

    @property
    def label_now(self) -> str | None:
        """With what a person has said; None when it was rejected."""
        return self.label if self.judgement is None else self.judgement.label


class ReportedField(Strict):
    """The end of one trigger."""

    field_index: int
    trigger_id: str
    source_name: str
    status: FieldStatus
    detail: str
    counted: bool
    replaced: bool = Field(description="whether another field has taken its place, so that its cells are in no count")
    overflow: bool
    bad: tuple[str, ...] = Field((), description="what is wrong with its picture, in the words of the record")
    left_out: bool = Field(False, description="whether its cells are in no count of the slide for that")
    stage_um: tuple[float, float] | None = Field(description="of the image's centre")
    width_px: int | None
    height_px: int | None
    um_per_px: float | None
    n_cells: int
    n_wbc: int
    wall_time: str


class Remark(Strict):
    """An event, an advice, a doubt or a correction, as the run has it on record."""

    kind: Literal["event", "advice", "doubt", "correction", "report"]
    severity: Literal["info", "warning", "error"]
    code: str
    message: str
    wall_time: str = ""
    field_index: int | None = None


class Chain(Strict):
    """Whether the records are those that were written."""

    is_whole: bool | None = Field(description="null when the records do not come from a journal")
    verdict: str
    records: int
    last_link: str = ""
    reviews: int = 0
    last_review_link: str = ""


NOT_FROM_A_JOURNAL = "not checked: these records come from no journal"


class Report(Strict):
    """A run, as far as its records go."""

    report: Literal[1] = 1
    run_id: str
    slide_id: str | None
    sample_id: str | None
    continues_run_id: str | None
    state: State
    why: str = Field(description="why it is provisional; empty when it is not")
    marks: tuple[str, ...] = Field(description="why these numbers must not be read as a patient's")
    outcome: str | None = Field(description="null while the run has not ended")
    detail: str
    began: str
    ended: str | None
    duration_s: float | None
    result: ReportedSums
    beside: tuple[ReportedSums, ...] = Field(description="the same cells, counted in the other ways")
    triggers: int
    field_ends: dict[FieldStatus, int]
    stop: str = Field("", description="what became of the order's stop rule; empty where none was given")
    flags: tuple[str, ...] = Field(
        description="what a person should look at in `result`, with its limit and where that is from"
    )
    remarks: tuple[Remark, ...]
    fields: tuple[ReportedField, ...]
    cells: tuple[ReportedCell, ...]
    provenance: Provenance
    profile: str | None
    kept_frames: str | None = Field(description="where the run was told to keep its frames")
    kept_crops: str | None
    chain: Chain

    @property
    def reviewed(self) -> str:
        """How many of the cells people have judged, and who; empty when nobody has."""
        counted = self.counted_cells
        judged = [cell.judgement for cell in counted if cell.judgement is not None]
        people = ", ".join(sorted({one.who for one in judged}))
        n_added = sum(cell.added and cell.label_now is not None for cell in counted)
        added = f", {n_added} of them added" if n_added else ""
        return f"{len(judged)} of {len(counted)} cells{added}, by {people}" if judged else ""

    @property
    def counted_cells(self) -> tuple[ReportedCell, ...]:
        """One view of each cell that is in the count."""
        return tuple(cell for cell in self.cells if cell.counts)
