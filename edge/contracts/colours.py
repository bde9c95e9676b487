"""The colours of an instrument and stain, and of the fields that a model was trained on: what is moved to what.

All colours are medians in grey levels, 0 to 255, blue green red; over fields, of what `edge.quality.field_colours` finds.
"""

from datetime import datetime, timezone
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from edge.contracts.base import Count, Fraction, Sha256, Strict

Level = Annotated[float, Field(ge=0, le=255)]
Bgr = tuple[Level, Level, Level]
Grid = tuple[tuple[float, ...], ...]

COLOUR_TRANSFORM = "curves-1"
"""The name of what `edge.camera.colour_transform` does. Thresholds are chosen under it, so another way is another name."""


class Colours(Strict):
    """What every smear shows; nuclei only where some were found."""

    empty: Bgr = Field(description="slide without a cell")
    red_cells: Bgr
    nuclei: Bgr | None = None


class SourceColours(Strict):
    """Colours of one training source."""

    colours: Colours
    images: int = Field(ge=1, description="in which they were measured")


class ReferenceColours(Strict):
    """The colours a model knows, by source: an instrument's are moved to those that are nearest to them."""

    sources: dict[str, SourceColours] = Field(min_length=1)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 reads no Z


class Dated(Strict):
    """A measurement and until when it stands. Dates are ISO 8601 with a time zone."""

    measured_at: str
    expires_at: str | None = Field(None, description="from then on the edge says that it has to be measured anew")

    @field_validator("measured_at", "expires_at")
    @classmethod
    def _is_a_date(cls, text: str | None) -> str | None:
        if text is not None and _moment(text).tzinfo is None:
            raise ValueError(f"{text!r} has no time zone; write for example 2026-01-31T12:00:00+00:00")
        return text

    def has_expired(self, now: datetime | None = None) -> bool:
        """Whether it should have been measured again by `now`."""
        return self.expires_at is not None and _moment(self.expires_at) < (now or datetime.now(timezone.utc))


class MeasuredColours(Dated):
    """Colours of this instrument and stain, from ordinary fields; its way to a bundle's colours is found at every start."""

    colours: Colours
    spread: Colours = Field(description="between fields: 1.4826 median absolute deviations, in grey levels")
    fields: int = Field(ge=1, description="in which they were found")
    fields_without: Count = Field(0, description="fields without enough red cells or empty slide, which were left out")
    fields_with_nuclei: Count = 0
    saturated: Bgr = Field(description="share of the empty slide that is overexposed, in percent, by channel")
    um_per_px: float = Field(gt=0, le=10)
    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)
    source: str = Field(description="what was read")
    fields_sha256: Sha256 = Field(description="over the pixels of the fields, in the order they were read")
    illumination_sha256: Sha256 | None = Field(None, description="of the illumination that was corrected before; null without")


class MeasuredLight(Dated):
    """Light over the camera's field, from blank fields. `shade` is by channel: brightness at evenly spread points (first row at
    the upper border, last at the lower), relative to the channel's brightest."""

    shade: tuple[Grid, Grid, Grid]
    white: Bgr = Field(description="a blank field's brightest part")
    residual: Fraction = Field(description="rms of a blank field off the smooth light, as a share of it, at the worst channel")
    fields: int = Field(ge=1)
    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)
    source: str = Field(description="what was read")
    fields_sha256: Sha256 = Field(description="over the pixels of the fields, in the order they were read")

    @model_validator(mode="after")
    def _is_a_grid(self) -> "MeasuredLight":
        rows, columns = len(self.shade[0]), len(self.shade[0][0]) if self.shade[0] else 0
        even = all(len(grid) == rows and all(len(row) == columns for row in grid) for grid in self.shade)
        if min(rows, columns) < 2 or not even:
            raise ValueError("`shade` is three grids of one size, of at least 2 x 2 points")
        if not all(0.3 <= value <= 1.01 for grid in self.shade for row in grid for value in row):
            raise ValueError("`shade` is relative to the brightest point: between 0.3 and 1")
        return self
