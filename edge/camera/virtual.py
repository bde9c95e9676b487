"""The virtual slide as a frame source, walked in a meander or exposed field by field when triggered; with faults on request."""

import math
import threading
import time
from collections import deque
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from edge.camera.frame import Frame, FrameSource, SourceBase, SourceEnded, SourceInfo, SourceTimeout, Trigger
from edge.contracts.base import Strict, explain
from edge.contracts.cells import NAMES
from edge.contracts.errors import ConfigError, FrameError
from edge.virtual import NORMAL_MIX, UM_PER_PX, SlideSettings, VirtualField, VirtualSlide

Every = Annotated[int, Field(ge=0, le=10**6)]
"""1 = every field, 2 = every second, ...; 0 = never."""

Fault = Literal["failed", "lost", "incomplete"]

_DETAILS: dict[Fault, str] = {
    "failed": "the virtual camera was asked to fail at this field; leave out fail_every for a run without faults.",
    "lost": "the virtual camera was asked to lose this field; leave out lose_every for a run without faults.",
    "incomplete": "the virtual camera was asked to damage this field; leave out damage_every for a run without faults.",
}


_FARTHEST_NM = 10**12
"""A kilometre: so far out a place is still exact to a ten-thousandth of a pixel, and no stage gets there."""


class VirtualOptions(Strict):
    """What may stand behind `virtual:`."""

    seed: int = Field(0, ge=0, lt=2**63)
    fields: int = Field(40, ge=1, le=10**6, description="length of the meander")
    wbc: float = Field(0.16, ge=0.0, description="leukocytes per field")
    mix: Literal["normal", "even"] = Field("normal", description="a normal differential, or all 15 classes alike")
    rbc: float = Field(SlideSettings.model_fields["rbc_per_field_mean"].default, ge=0.0, description="red cells per field")
    overlap: float = Field(0.0, ge=0.0, le=0.9, description="share of a field that the next one shows again")
    trigger: Literal["none", "software"] = Field(
        "none", description="software: a field is exposed when the controller announces it"
    )
    rate: float = Field(0.0, ge=0.0, le=1000.0, description="fields per second; 0 = as fast as they are read")
    variants: int = Field(12, ge=1, le=64, description="different cells per class; few open sooner")
    stain: float = Field(1.0, ge=0.0, description="stain variation between seeds; 0 = one fixed stain")
    blur: float = Field(0.5, ge=0.0, description="blur of every field, pixels")
    defocus: float = Field(0.5, ge=0.0, description="spread of the further blur that differs between fields, pixels")
    noise: float = Field(1.0, ge=0.0, description="sensor noise; 1 = standard deviation of 2 grey levels")
    width: int = Field(732, ge=32, le=4096, description="pixels")
    height: int = Field(574, ge=32, le=4096, description="pixels")
    fail_every: Every = 0
    lose_every: Every = 0
    damage_every: Every = 0
    silent_every: Every = Field(0, description="with trigger=software: no frame at all, and no word about it")
    extra_every: Every = Field(0, description="with trigger=software: a second frame that nobody asked for")

    def slide(self) -> SlideSettings:
        """The settings of the slide. Raises `ValidationError` for values out of the slide's range."""
        return SlideSettings(
            seed=self.seed,
            wbc_per_field_mean=self.wbc,
            class_mix=dict.fromkeys(NAMES, 1.0) if self.mix == "even" else dict(NORMAL_MIX),
            rbc_per_field_mean=self.rbc,
            variants=self.variants,
            stain_variation=self.stain,
            blur_px=self.blur,
            defocus_px=self.defocus,
            noise=self.noise,
        )


def open_virtual(uri_tail: str, um_per_px: float | None) -> FrameSource:
    """A virtual slide, triggered or not as its options say. Raises `ConfigError`."""
    options, _ = parse_virtual(uri_tail)
    if options.trigger == "software":
        return VirtualCamera(uri_tail, um_per_px)
    for name in ("silent_every", "extra_every"):
        if getattr(options, name):
            raise ConfigError(f"source 'virtual:{uri_tail}' has {name} without trigger=software; add it, or leave {name} out.")
    return VirtualSource(uri_tail, um_per_px)


def parse_virtual(uri_tail: str) -> tuple[VirtualOptions, SlideSettings]:
    """Read `seed=42,fields=40,...`. Raises `ConfigError` in one sentence that names the option and those there are."""
    known = ", ".join(VirtualOptions.model_fields)
    values: dict[str, str] = {}
    for part in (part.strip() for part in uri_tail.split(",")):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise ConfigError(f"{part!r} in source 'virtual:{uri_tail}' is not NAME=VALUE; the options are {known}.")
        if name not in VirtualOptions.model_fields:
            raise ConfigError(f"source 'virtual:{uri_tail}' has the unknown option {name!r}; the options are {known}.")
        if name in values:
            raise ConfigError(f"source 'virtual:{uri_tail}' gives {name!r} twice; leave one of them out.")
        values[name] = value
    try:
        options = VirtualOptions.model_validate(values)
        return options, options.slide()
    except ValidationError as problem:
        raise ConfigError(
            f"source 'virtual:{uri_tail}' cannot be used: {explain(problem)}; the options are {known}."
        ) from problem


class VirtualSource(SourceBase):
    """A `FrameSource` that walks a virtual slide in a serpentine, beginning at stage position (0, 0).

    `um_per_px` may be left out; if given it must be the slide's own. Raises `ConfigError`. Rendering happens in `read`, in the
    caller's thread; `close` may be called from another one and ends a `read` that waits for its turn.
    """

    def __init__(self, uri_tail: str, um_per_px: float | None = None) -> None:
        super().__init__()
        self._options, settings = parse_virtual(uri_tail)
        if um_per_px is not None and abs(um_per_px - UM_PER_PX) > 0.001 * UM_PER_PX:
            raise ConfigError(
                f"the virtual slide is drawn at {UM_PER_PX:g} um/px, not at {um_per_px:g}; "
                f"leave the scale out, or give {UM_PER_PX:g}."
            )
        self._slide = VirtualSlide(settings)
        self._info = SourceInfo(
            uri=f"virtual:{uri_tail}",
            width_px=self._options.width,
            height_px=self._options.height,
            um_per_px=UM_PER_PX,
            # A triggered one shows the field at any stage position, and the meander's as often as it is asked for.
            n_fields=self._options.fields if self._options.trigger == "none" else None,
            self_paced=self._options.trigger == "none",
            is_synthetic=True,
        )
        steps = [size * (1.0 - self._options.overlap) * UM_PER_PX for size in (self._options.width, self._options.height)]
        self._step_x_um, self._step_y_um = steps
        # Near a square on the glass, as a scanner would lay out an area.
        self._columns = max(1, math.ceil(math.sqrt(self._options.fields * self._step_y_um / self._step_x_um)))
        self._next = 0
        self._due_s = time.monotonic()
        self._closed = threading.Event()

    @property
    def info(self) -> SourceInfo:
        return self._info

    def truth(self, field_index: int) -> VirtualField:
        """The field as `read` gives it (or would have given it, had it not been lost), with what is really there."""
        if not 0 <= field_index < self._options.fields:
            raise ConfigError(f"there is no field {field_index}; this source has fields 0 to {self._options.fields - 1}.")
        row, along = divmod(field_index, self._columns)
        column = self._columns - 1 - along if row % 2 else along
        return self._rendered(column * self._step_x_um, row * self._step_y_um, field_index)

    def truth_at(self, stage_nm: tuple[int, int], field_index: int = 0, z_nm: int | None = None) -> VirtualField:
        """The field whose centre is at this stage position, to half a pixel, as a trigger that names the position gets it.

        The slide is flat and sharp at `z_nm` 0, and where no height is said.
        `field_index` decides focus and noise, and nothing of what lies there. Raises `FrameError` for one a kilometre off.
        """
        if max(map(abs, stage_nm)) > _FARTHEST_NM:
            raise FrameError(
                f"stage position {stage_nm[0]}, {stage_nm[1]} nm is more than a kilometre from the origin of the virtual "
                "slide; give the position of the image centre in nanometres."
            )
        return self._rendered(stage_nm[0] / 1000.0, stage_nm[1] / 1000.0, field_index, (z_nm or 0) / 1000.0)

    def _rendered(self, x_um: float, y_um: float, field_index: int, z_um: float = 0.0) -> VirtualField:
        size = (self._options.width, self._options.height)
        return self._slide.render(x_um, y_um, *size, field_key=field_index, defocus_um=z_um)

    def start(self) -> None:
        """Every run begins at the meander's first field."""
        super().start()
        self._next = 0

    def read(self, timeout_s: float) -> Frame:
        """The next field of the meander, at its turn when a rate was asked for."""
        if self._closed.is_set() or self._next >= self._options.fields:
            raise SourceEnded
        self._await_turn(timeout_s)
        index = self._next
        self._next += 1
        return self._count(self._expose(f"virtual-{index}", index, self._fault(index), index))

    def _expose(
        self,
        trigger_id: str,
        index: int,
        fault: Fault | None,
        frame_id: int,
        stage_nm: tuple[int, int] | None = None,
        z_nm: int | None = None,
    ) -> Frame:
        """The frame at `stage_nm` and `z_nm`, or at the field's place in the meander where nobody says a position."""
        t_trigger_ns = time.monotonic_ns()
        field = self.truth(index) if stage_nm is None else self.truth_at(stage_nm, index, z_nm)
        return Frame(
            trigger_id=trigger_id,
            field_index=index,
            status=fault or "ok",
            image=None if fault else field.image,
            um_per_px=UM_PER_PX,
            t_trigger_ns=t_trigger_ns,
            t_host_ns=time.monotonic_ns(),
            frame_id=None if fault == "lost" else frame_id,
            stage_nm=stage_nm or (round(field.stage_um[0] * 1000), round(field.stage_um[1] * 1000)),
            source_name=f"field {index} of virtual slide {self._options.seed}",
            detail=_DETAILS[fault] if fault else "",
            z_nm=z_nm,
        )

    def close(self) -> None:
        """No further field; a waiting `read` raises `SourceEnded`."""
        self._closed.set()

    def _await_turn(self, timeout_s: float) -> None:
        if not self._options.rate:
            return
        wait_s = self._due_s - time.monotonic()
        if wait_s > 0 and self._closed.wait(min(wait_s, timeout_s)):
            raise SourceEnded
        if wait_s > timeout_s:
            raise SourceTimeout(
                f"no field came within {timeout_s:g} s; the rate is {self._options.rate:g} fields/s, wait longer."
            )
        # From now, not from when it was due: a reader that was late gets no burst afterwards.
        self._due_s = max(time.monotonic(), self._due_s) + 1.0 / self._options.rate

    def _fault(self, index: int) -> Fault | None:
        options = self._options
        asked: dict[Fault, int] = {
            "failed": options.fail_every,
            "lost": options.lose_every,
            "incomplete": options.damage_every,
        }
        return next((fault for fault, every in asked.items() if every and (index + 1) % every == 0), None)


class VirtualCamera(VirtualSource):
    """A `TriggeredSource`: the stage position of a trigger says what of the slide is under the camera, anywhere on it.

    A trigger without one shows the field of the meander that has its `field_index`.

    Faults are counted in exposures: every so many give no frame (`silent_every`), or one more that no trigger asked for
    (`extra_every`).
    """

    def __init__(self, uri_tail: str, um_per_px: float | None = None) -> None:
        super().__init__(uri_tail, um_per_px)
        self._expected: deque[Trigger] = deque()
        self._extra: Frame | None = None
        self._exposures = 0

    def start(self) -> None:
        """Nothing of a former run is exposed any more."""
        super().start()
        self._expected.clear()
        self._extra = None

    def expect(self, trigger: Trigger) -> None:
        """Expose this trigger's field, when those before it are done."""
        self._expected.append(trigger)

    def give_up(self, trigger_id: str) -> None:
        """Frames of this camera bear their trigger's id: none can be taken for another's."""

    def read(self, timeout_s: float) -> Frame:
        """The next exposure's frame. Raises `SourceTimeout` when none is due."""
        if self._extra is not None:
            frame, self._extra = self._extra, None
            return self._count(frame)
        if self._closed.is_set():
            raise SourceEnded
        if not self._expected:
            if self._closed.wait(timeout_s):
                raise SourceEnded
            raise SourceTimeout(f"nothing was exposed for {timeout_s:g} s.")
        self._await_turn(timeout_s)
        trigger = self._expected.popleft()
        index, self._exposures = self._exposures, self._exposures + 1
        if self._is_turn(self._options.silent_every, index):
            raise SourceTimeout("the virtual camera was asked to keep silent at this exposure.")
        frame = self._frame(trigger, index)
        if self._is_turn(self._options.extra_every, index) and frame.image is not None:
            self._extra = Frame(
                "", 0, "ok", frame.image.copy(), frame.um_per_px, frame.t_trigger_ns, frame.t_host_ns, frame_id=index
            )
        return self._count(frame)

    def _frame(self, trigger: Trigger, index: int) -> Frame:
        if trigger.stage_nm is None and trigger.field_index >= self._options.fields:
            last = self._options.fields - 1
            return self._refused(
                trigger,
                f"the meander has fields 0 to {last} and field {trigger.field_index} was triggered without a stage position; "
                "raise fields=, or say where the stage is.",
            )
        try:
            place = trigger.stage_nm, trigger.z_nm
            return self._expose(trigger.trigger_id, trigger.field_index, self._fault(index), index, *place)
        except FrameError as problem:
            return self._refused(trigger, str(problem))

    def _refused(self, trigger: Trigger, detail: str) -> Frame:
        now_ns = time.monotonic_ns()
        return Frame(
            trigger.trigger_id,
            trigger.field_index,
            "failed",
            None,
            UM_PER_PX,
            now_ns,
            now_ns,
            stage_nm=trigger.stage_nm,
            detail=detail,
            z_nm=trigger.z_nm,
        )

    def _is_turn(self, every: int, index: int) -> bool:
        return bool(every) and (index + 1) % every == 0
