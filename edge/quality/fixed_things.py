"""Things that are counted at the same place of the picture in field after field: dirt in the camera, not cells on a slide.

A model that takes a speck of dirt for a leukocyte does so in every field, and the differential is soon of dirt alone. What is
fixed in the picture lies at one place and shows the same pixels there, while fields behind it change; two cells at one place,
as in a collection of cells cut out one by one, differ in what they show.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.detections import Float32, Image
from edge.contracts.records import Detection

Sparse = NDArray[np.int16]

SEEN_IN, OF_THE_LAST = 5, 40
"""So many of so many fields behind each other: a model finds dirt in some fields and misses it in others."""

ALIKE = 0.25
"""Mean difference of optical density over mean density, within a box. The same dirt before other fields stays below;
cells at the same place of two pictures, such as cells that were cut out one by one, lie above."""

SAME_PLACE_IOU = 0.5
_INNER = 0.1
"""Of a box's sides that is left out: a speck's rim shows the field behind it."""

_LOOKED_AT_UM = 0.8
_REMEMBERED, _PLACES, _CELLS = 64, 64, 16
"""Fields on their way, places that may prove to be fixed, and cells of a field that are looked at."""

_SPARSE = 6
"""Of the small picture's pixels, every so many in both directions tell one field from another."""
_SAME_FIELD = 5.0
"""Mean difference of those, in levels of green: below, it is one field twice, with a camera's noise, and proves nothing."""

_MOST_SAID = 3


@dataclass(slots=True, eq=False)
class _Place:
    """Where something was counted, in pixels of the small picture, what it showed, and in which fields it was seen again."""

    box: NDArray[np.int32]
    density: Float32
    label: str
    fields: deque[int]
    seen: deque[Sparse]
    said: bool = False


class FixedThings:
    """Told of every field before its pixels go, and of what was counted in it. For one thread."""

    def __init__(self, um_per_px: float) -> None:
        self._every = max(1, int(_LOOKED_AT_UM / um_per_px))
        self._looks: OrderedDict[str, Image] = OrderedDict()
        self._places: list[_Place] = []
        self._n_fields = self._n_said = 0

    def look(self, trigger_id: str, image: Image) -> None:
        """`image` is BGR, uint8 [H, W, 3], as the camera gave it."""
        size = max(1, image.shape[1] // self._every), max(1, image.shape[0] // self._every)
        self._looks[trigger_id] = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        if len(self._looks) > _REMEMBERED:  # of fields that failed afterwards
            self._looks.popitem(last=False)

    def counted(self, trigger_id: str, detections: tuple[Detection, ...]) -> str:
        """What was found in a field. Returns a sentence on something that has proved to be fixed, once for each; else empty."""
        self._n_fields += 1
        small = self._looks.pop(trigger_id, None)
        if small is None or not detections or self._n_said >= _MOST_SAID:
            return ""
        sparse = small[::_SPARSE, ::_SPARSE, 1].astype(np.int16)
        ground = np.median(small.reshape(-1, 3)[::37], axis=0)
        boxes = np.array([cell.box_px for cell in detections[:_CELLS]], np.float64) / self._every
        for box, cell in zip(boxes, detections, strict=False):
            place = self._known(box, small, ground)
            if place is None:
                self._remember(box, small, ground, cell.label, sparse)
            elif all(_unlike(sparse, other) for other in place.seen):
                place.fields.append(self._n_fields)
                place.seen.append(sparse)
                if self._is_fixed(place):
                    return self._sentence(place)
        return ""

    def _known(self, box: NDArray[np.float64], small: Image, ground: NDArray[np.float64]) -> _Place | None:
        """The place that shows there what it showed before."""
        if not self._places:
            return None
        ious = _ious(box, np.array([place.box for place in self._places]))
        for index in np.flatnonzero(ious >= SAME_PLACE_IOU)[::-1]:
            place: _Place = self._places[int(index)]
            density = _density(small, place.box, ground)
            if density.shape == place.density.shape and _apart(density, place.density) <= ALIKE:
                return place
        return None

    def _remember(
        self, box: NDArray[np.float64], small: Image, ground: NDArray[np.float64], label: str, sparse: Sparse
    ) -> None:
        corners = np.rint(box).astype(np.int32)
        density = _density(small, corners, ground)
        if density.size:
            self._places.append(
                _Place(corners, density, label, deque([self._n_fields], maxlen=SEEN_IN), deque([sparse], maxlen=SEEN_IN))
            )
        if len(self._places) > _PLACES:
            # The one that was not seen for longest.
            self._places.remove(min(self._places, key=lambda place: place.fields[-1]))

    def _is_fixed(self, place: _Place) -> bool:
        return not place.said and len(place.fields) >= SEEN_IN and self._n_fields - place.fields[0] < OF_THE_LAST

    def _sentence(self, place: _Place) -> str:
        place.said = True
        self._n_said += 1
        x1, y1, x2, y2 = (place.box * self._every).tolist()
        within = self._n_fields - place.fields[0] + 1
        return (
            f"the same thing is counted at the same place of the picture in {SEEN_IN} of the last {within} fields (x {x1} to "
            f"{x2}, y {y1} to {y2} px, called {place.label}): no cell of the slide, but dirt in the light path or something "
            "written into the picture; clean the camera, leave such writing out, and repeat the run."
        )


def _density(small: Image, box: NDArray[np.int32], ground: NDArray[np.float64]) -> Float32:
    """Optical density [h, w, 3] over the field's ground, of the inner part of a box."""
    x1, y1, x2, y2 = box.tolist()
    dx, dy = int(_INNER * (x2 - x1)), int(_INNER * (y2 - y1))
    inner = small[max(0, y1 + dy) : y2 - dy, max(0, x1 + dx) : x2 - dx]
    return np.log((ground + 2) / (inner.astype(np.float32) + 2)).astype(np.float32)


def _apart(one: Float32, other: Float32) -> float:
    depth = (np.abs(one).mean() + np.abs(other).mean()) / 2
    return float(np.abs(one - other).mean() / max(float(depth), 1e-3))


def _unlike(one: Sparse, other: Sparse) -> bool:
    return one.shape != other.shape or float(np.abs(one - other).mean()) > _SAME_FIELD


def _ious(box: NDArray[np.float64], others: NDArray[np.int32]) -> NDArray[np.float64]:
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = sides.clip(0).prod(axis=1)
    areas = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1)
    return np.asarray(shared / np.maximum(areas - shared, 1e-6), np.float64)
