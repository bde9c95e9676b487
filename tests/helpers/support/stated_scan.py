"""Pictures of a drawn slide with the places that a stage states, in the order of a scan; and what may be wrong with both."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge.camera.frame import SourceNote
from edge.contracts.detections import Image
from edge.contracts.stage_geometry import StageGeometry
from edge.quality import PositionCheck
from edge.virtual import UM_PER_PX, SlideSettings, VirtualSlide

SIZE = (732, 574)
Place = tuple[float, float]


def places_of(columns: int, rows: int, overlap: float, order: str = "snake", seed: int = 0) -> list[Place]:
    """Um on the stage, far from its zero."""
    step_x, step_y = (side * (1 - overlap) * UM_PER_PX for side in SIZE)
    found = []
    for row in range(rows):
        line = [(5000.0 + column * step_x, 7000.0 + row * step_y) for column in range(columns)]
        found += line[::-1] if order == "snake" and row % 2 else line
    if order == "random":
        np.random.default_rng(seed).shuffle(found)  # type: ignore[arg-type] # a list, too
    return [(float(x), float(y)) for x, y in found]


@dataclass
class Photographer:
    """Of one slide; `stage_um` is how far it really stands from where it says, at most, each axis."""

    slide: VirtualSlide
    stage_um: float = 0.0
    seed: int = 0

    @classmethod
    def of(cls, seed: int, *, wbc: float = 0.5, rbc: float = 90.0, stage_um: float = 0.0) -> "Photographer":
        settings = SlideSettings(seed=seed, wbc_per_field_mean=wbc, rbc_per_field_mean=rbc, variants=2)
        if not rbc:
            settings = settings.model_copy(update={"platelets_per_field_mean": 0.0})
        return cls(VirtualSlide(settings), stage_um, seed)

    def pictures(self, places: Sequence[Place], first_key: int = 0) -> Iterator[Image]:
        """As the camera gives them."""
        draw = np.random.default_rng(self.seed)
        for key, (x_um, y_um) in enumerate(places, first_key):
            dx, dy = draw.uniform(-self.stage_um, self.stage_um, 2)
            image = self.slide.render(x_um + dx, y_um + dy, *SIZE, field_key=key).image
            yield image


def dusty(picture: Image) -> Image:
    """With what lies on the camera, and a scale bar that it writes into every picture."""
    image = picture.copy()
    for at, (x, y) in enumerate(np.random.default_rng(7).integers(40, 530, (12, 2)).tolist()):
        cv2.circle(image, (x, y), 6 + 3 * (at % 4), (60, 60, 60), -1)
    cv2.rectangle(image, (560, 530), (700, 540), (0, 0, 0), -1)
    return image


def exposed_again(picture: Image, key: int) -> Image:
    """The same place with the noise of another exposure."""
    noise = np.random.default_rng(key).normal(0, 2, picture.shape[:2])[..., None]
    return np.asarray(np.clip(picture + noise, 0, 255), np.uint8)


def judged(
    pictures: Sequence[Image], places: Sequence[Place | None], geometry: StageGeometry | None = None
) -> list[SourceNote]:
    """What is said of these pictures at these places."""
    check = PositionCheck(geometry or StageGeometry.upright(UM_PER_PX), UM_PER_PX)
    said: list[SourceNote] = []
    for index, (picture, place) in enumerate(zip(pictures, places, strict=True)):
        check.look(f"t{index}", picture)
        said += check.ended(f"t{index}", index, (round(1000 * place[0]), round(1000 * place[1])) if place else None)
    return said
