"""Records of a run whose fields overlap on a slide, counted by the edge's own account, without camera, engine and process."""

import math
import random
from collections import Counter
from dataclasses import dataclass, field

from support.scripted_run import WALL, run_start

from edge.contracts.records import (
    Detection,
    Event,
    FieldRecord,
    FieldStatus,
    Record,
    Running,
    RunOutcome,
    RunStop,
    StagePosition,
)
from edge.contracts.stage_geometry import StageGeometry
from edge.counting import differential, wbc_total
from edge.counting.slide_account import FieldEnd, SlideAccount

UM = 0.13
SIZE = (732, 574)
LABELS = ("neutrophil_segmented", "lymphocyte", "monocyte", "eosinophil", "smudge", "unidentified")


@dataclass
class Layout:
    """What is drawn: a slide of `columns` by `rows` fields that overlap by `overlap`, and what becomes of some of them."""

    seed: int = 0
    columns: int = 4
    rows: int = 3
    overlap: float = 0.2
    cells: int = 40
    turned_deg: float = 0.0
    jitter_um: float = 0.5
    shuffled: bool = False
    lost: float = 0.0
    replaced: float = 0.0
    ahead: int = 6
    """fields that are announced at most before the first of them has ended"""


@dataclass
class _Slide:
    layout: Layout
    cells: list[tuple[float, float, str]] = field(default_factory=list)


def geometry_of(layout: Layout) -> StageGeometry:
    c, s = (UM * f(math.radians(layout.turned_deg)) for f in (math.cos, math.sin))
    return StageGeometry(um_per_px=((c, -s), (s, c)))


def overlapping_run(layout: Layout, run_id: str = "r", *, stop: bool = True, source: str = "virtual:seed=42") -> list[Record]:
    """run_start, one field for each place and each retake, events, and run_stop when `stop`."""
    rng = random.Random(layout.seed)
    geometry = geometry_of(layout)
    step_px = tuple(side * (1 - layout.overlap) for side in SIZE)
    places_px = [(column * step_px[0], row * step_px[1]) for row in range(layout.rows) for column in range(layout.columns)]
    if layout.shuffled:
        rng.shuffle(places_px)
    extent = (layout.columns * step_px[0], layout.rows * step_px[1])
    cells = [(rng.uniform(-300, extent[0]), rng.uniform(-250, extent[1]), rng.choice(LABELS)) for _ in range(layout.cells)]
    jobs: list[tuple[tuple[float, float], int | None]] = [(place, None) for place in places_px]
    for index in range(len(places_px)):
        if rng.random() < layout.replaced:
            jobs.append((places_px[index], index))
    account = SlideAccount(geometry, *SIZE)
    stages = [geometry.on_stage_nm((5_000_000, 7_000_000), place) for place, _ in jobs]
    records: list[Record] = [run_start(run_id, "S-1", source=source)]
    ends: Counter[FieldStatus] = Counter()
    sums: Counter[str] = Counter()
    announced = 0
    for index, ((x_px, y_px), replaces) in enumerate(jobs):
        ahead = min(len(jobs), index + layout.ahead)
        account.announce((at, stages[at]) for at in range(announced, ahead))
        announced = max(announced, ahead)
        is_lost = rng.random() < layout.lost
        found = () if is_lost else _seen(rng, cells, (x_px, y_px), layout.jitter_um)
        status = FieldStatus.LOST if is_lost else FieldStatus.OK if found else FieldStatus.EMPTY
        found = account.placed(found, stages[index], SIZE)
        size = (0, 0) if is_lost else SIZE
        slide = account.ended(FieldEnd(index, stages[index], found, size, index, None if is_lost else replaces))
        counts = Counter(one.label for one in found)
        ends[status] += 1
        sums += counts
        running = Running(fields=dict(ends), cells=dict(sums), wbc_total=wbc_total(sums), slide=slide)
        records.append(
            FieldRecord(
                run_id=run_id,
                seq=len(records),
                wall_time=WALL,
                trigger_id=f"t{index}",
                replaces=None if replaces is None else f"t{replaces}",
                field_index=index,
                source_name=f"field-{index:04d}",
                status=status,
                detail="the frame never came" if is_lost else "",
                width_px=None if is_lost else SIZE[0],
                height_px=None if is_lost else SIZE[1],
                um_per_px=UM,
                stage=StagePosition(x_nm=stages[index][0], y_nm=stages[index][1]),
                t_host_ns=index,
                detections=found,
                counts=dict(counts),
                running=running,
                counted=not is_lost,
            )
        )
        for said in account.said():
            records.append(
                Event(
                    run_id=run_id,
                    seq=len(records),
                    wall_time=WALL,
                    severity="info" if said.what == "corrected" else "warning",
                    code="count_corrected",
                    message=said.message,
                )
            )
    if stop:
        records.append(
            RunStop(
                run_id=run_id,
                seq=len(records),
                wall_time=WALL,
                outcome=RunOutcome.COMPLETED,
                triggers=len(jobs),
                fields=dict(ends),
                sums_match=True,
                cells=dict(sums),
                differential=differential(sums),
                duration_s=2.5,
                slide=account.result(),
            )
        )
    return records


def _seen(
    rng: random.Random, cells: list[tuple[float, float, str]], place_px: tuple[float, float], jitter_um: float
) -> tuple[Detection, ...]:
    """Cells at least partly in a field at `place_px`, each a little off, as a stage and a detector are."""
    half = 45.0
    off = (rng.gauss(0, jitter_um / UM), rng.gauss(0, jitter_um / UM))
    found = []
    for x, y, label in cells:
        left, top = x - place_px[0] + off[0] + SIZE[0] / 2 - half, y - place_px[1] + off[1] + SIZE[1] / 2 - half
        box = (max(0.0, left), max(0.0, top), min(SIZE[0], left + 2 * half), min(SIZE[1], top + 2 * half))
        if box[2] - box[0] < 25 or box[3] - box[1] < 25:
            continue
        sure = rng.uniform(0.6, 0.99)
        called = label if rng.random() < 0.9 else "monocyte"
        found.append(
            Detection(
                label=called,
                best_class="lymphocyte" if called == "unidentified" else called,
                is_wbc=called != "smudge",
                score=sure,
                presence=sure,
                margin=sure / 2,
                runner_up="lymphocyte",
                box_px=box,
                size_um=((box[2] - box[0]) * UM, (box[3] - box[1]) * UM),
                touches_border=min(box[0], box[1], SIZE[0] - box[2], SIZE[1] - box[3]) <= 1,
            )
        )
    return tuple(found)
