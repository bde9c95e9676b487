"""The colours of an instrument and its stain from ordinary fields, and what speaks against calling them that."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.contracts.colours import Bgr, Colours, ReferenceColours
from edge.contracts.detections import Image
from edge.contracts.errors import DataError
from edge.quality import FieldColours, colours_of, density, exchanged, red_of_nuclei

Floats = NDArray[np.float64]

LEAST_FIELDS = 10
"""Fewer fields may all show one place of one smear, which is thick or thin."""

LEAST_SHARE = 0.5
"""Of the fields that have to show red cells and empty slide."""

MOST_SPREAD = 0.12
"""Between fields, in optical density, 1.4826 median absolute deviations of empty slide or red cells: more are slides of
different stains, or an automatic exposure."""

FAR, MOST_FAR = 0.25, 0.15
"""Optical density from the middle of all fields, and the share of fields that may lie further: a few slides among many."""

MOST_TURNED_DEG = 25.0
"""Between the colour of red cells over the empty slide and that of the nearest source the model knows, as directions in
optical density: laboratories of one stain lie within 15 of another, stains that dye red cells blue or yellow further away."""

GREY = 1.5
"""Levels between channels: less is no colour camera."""

MOST_OVEREXPOSED = 0.5
"""Of the empty slide: from there its level is only known to be no lower."""


@dataclass(frozen=True, slots=True)
class StainColours:
    """Medians over fields, their spread (1.4826 median absolute deviations), and how many fields showed what."""

    colours: Colours
    spread: Colours
    fields: int
    without: int
    with_nuclei: int
    saturated: Bgr

    @property
    def overexposed(self) -> tuple[str, ...]:
        """Channels whose empty slide is at the upper end in most places."""
        names = ("blue", "green", "red")
        return tuple(name for name, share in zip(names, self.saturated, strict=True) if share > 100 * MOST_OVEREXPOSED)


class StainFit:
    """Fields are added one by one; `colours` is what they show together."""

    def __init__(self, um_per_px: float) -> None:
        self._um_per_px = um_per_px
        self._found: list[FieldColours] = []
        self._without = 0
        self._red_of_nuclei: list[float] = []

    def add(self, image: Image) -> None:
        """One ordinary field, BGR; under the light correction that the edge will apply."""
        found = colours_of(image, self._um_per_px)
        if (nuclei := red_of_nuclei(image, self._um_per_px)) is not None:
            self._red_of_nuclei.append(nuclei)
        if found is None:
            self._without += 1
        else:
            self._found.append(found)

    def colours(self) -> StainColours:
        """Raises `DataError` when the fields are too few, show no red cells, or are not of one instrument and stain."""
        seen, all_fields = len(self._found), len(self._found) + self._without
        if all_fields < LEAST_FIELDS:
            raise DataError(
                f"{all_fields} field{'s are' if all_fields != 1 else ' is'} too few to tell a stain from one place of a smear; "
                f"give at least {LEAST_FIELDS}, better some tens, from different slides of this stain."
            )
        # First: exchanged red and blue hide red cells and nuclei from the rest.
        if said := exchanged(self._red_of_nuclei, is_last=True):
            raise DataError(said)
        if seen < LEAST_SHARE * all_fields:
            raise DataError(
                f"{self._without} of {all_fields} fields show no red cells beside empty slide; take fields of the "
                "monolayer, in focus, and check --um-per-px."
            )
        empty, red = (np.array([getattr(one, name) for one in self._found]) for name in ("empty", "red_cells"))
        _require_colour(empty, red)
        _require_one_stain(density(empty), density(red))
        nuclei = [one.nuclei for one in self._found if one.nuclei is not None]
        saturated = np.mean([one.saturated for one in self._found], axis=0)
        return StainColours(
            Colours(empty=_bgr(_middle(empty)), red_cells=_bgr(_middle(red)), nuclei=_nuclei(nuclei, _middle)),
            Colours(empty=_bgr(_spread(empty)), red_cells=_bgr(_spread(red)), nuclei=_nuclei(nuclei, _spread)),
            seen,
            self._without,
            len(nuclei),
            _bgr(100 * saturated),
        )


def turned_deg(own: Colours, reference: ReferenceColours) -> float:
    """Degrees between this stain's red cells and the nearest source's, as directions in optical density."""
    sources = [source.colours for source in reference.sources.values()]
    return min(_angle_deg(_depth(own), _depth(source)) for source in sources)


def require_known_stain(own: Colours, reference: ReferenceColours) -> None:
    """Raises `DataError` when red cells have a colour that no source of the model comes near."""
    turned = turned_deg(own, reference)
    if turned > MOST_TURNED_DEG:
        raise DataError(
            f"the red cells have another colour than in any source that the model knows ({turned:.0f} degrees apart in optical "
            f"density, at most {MOST_TURNED_DEG:.0f} are the same stain): another stain, or a camera whose colours are not "
            "set; give fields of the stain that the model was trained on."
        )


def _depth(colours: Colours) -> Floats:
    return np.maximum(density(np.array(colours.red_cells)) - density(np.array(colours.empty)), 0.0)


def _angle_deg(a: Floats, b: Floats) -> float:
    cosine = float(a @ b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9)
    return float(np.degrees(np.arccos(min(1.0, cosine))))


def _require_colour(empty: Floats, red: Floats) -> None:
    apart = max(float(np.ptp(each, axis=1).max()) for each in (empty, red))
    if apart < GREY:
        raise DataError("these fields are grey; the model needs a colour camera, and its pixel format set to colours.")


def _require_one_stain(empty: Floats, red: Floats) -> None:
    for name, values in (("empty slide", empty), ("red cells", red)):
        spread = float(_spread(values).max())
        off = np.abs(values - _middle(values)).max(axis=1)
        others = float((off > FAR).mean())
        if spread > MOST_SPREAD or others > MOST_FAR:
            alone = f", and {others:.0%} of the fields lie far from the rest" if others > MOST_FAR else ""
            raise DataError(
                f"the colour of the {name} differs too much between these fields (by {spread:.2f} of optical density{alone}, "
                f"where {MOST_SPREAD:.2f} is borne): slides of different stains, or automatic exposure or "
                "white balance; switch those off, and calibrate each stain by itself."
            )


def _middle(values: Floats) -> Floats:
    return np.asarray(np.median(values, axis=0), np.float64)


def _spread(values: Floats) -> Floats:
    return np.asarray(1.4826 * np.median(np.abs(values - np.median(values, axis=0)), axis=0), np.float64)


def _nuclei(found: list[Floats], how: object) -> Bgr | None:
    return _bgr(how(np.array(found))) if len(found) >= 3 else None  # type: ignore[operator]


def _bgr(values: Floats) -> Bgr:
    blue, green, red = (round(float(value), 2) for value in values)
    return blue, green, red
