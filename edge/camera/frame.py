"""The frame contract and the interface of every frame source."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from edge.contracts.detections import Image
from edge.contracts.errors import SourceError
from edge.contracts.records import SourceStatistics


class SourceEnded(Exception):
    """The source has no further frame; not an error."""


class SourceTimeout(SourceError):
    """No frame came in time."""

    code = "source_timeout"


FrameStatus = Literal["ok", "lost", "incomplete", "failed", "timeout", "skipped"]
PixelFormat = Literal["BGR8", "RGB8", "BayerRG8", "BayerGR8", "BayerGB8", "BayerBG8", "Mono8"]
"""GenICam's names; `edge.camera.pixels` converts them."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """An announced exposure; `stage_nm` is where the scanner put the stage, `z_nm` its focus."""

    trigger_id: str
    field_index: int
    stage_nm: tuple[int, int] | None
    accepted_ns: int = field(default=0, compare=False)
    """when it was accepted, on the monotonic clock: no pulse of it came before; 0 when not known"""
    z_nm: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """What one trigger gave: an image, or the reason why there is none.

    `image` is uint8 [H, W, 3] (or [H, W] for one value per pixel) in `pixel_format`, C-contiguous, for the receiver alone; None
    unless `status` is "ok". It may lie in a camera driver's buffer, so who keeps many images copies them. Times are monotonic
    nanoseconds; `t_camera_ns` is on the camera's clock. `age_ms` is the time from the frame's arrival at this machine to its
    being read; None when nobody can tell. `stage_nm` is the position of the image centre at exposure, `z_nm` its focus.
    """

    trigger_id: str
    field_index: int
    status: FrameStatus
    image: Image | None
    um_per_px: float
    t_trigger_ns: int
    t_host_ns: int
    frame_id: int | None = None
    t_camera_ns: int | None = None
    stage_nm: tuple[int, int] | None = None
    source_name: str = ""
    detail: str = ""
    pixel_format: PixelFormat = "BGR8"
    age_ms: float | None = None
    z_nm: int | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a source can do: be triggered by a line or by software, tell its own time of each frame, and send data with it."""

    hardware_trigger: bool = False
    software_trigger: bool = False
    timestamps: bool = False
    chunk_data: bool = False


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known once a source is open. `n_fields` is None when it has no end of its own."""

    uri: str
    width_px: int
    height_px: int
    um_per_px: float
    n_fields: int | None
    self_paced: bool
    is_synthetic: bool = False
    camera: dict[str, str] = field(default_factory=dict)
    """what a camera says it is and how it is set, read back"""
    exposures_at_once: int = 1
    """triggers that a triggered source may be told of before the first one's frame has come"""
    capabilities: Capabilities = Capabilities()
    is_live: bool = False
    """whether frames come whether they are read or not, as a free-running camera's; all others wait to be read"""
    one_size: bool = True
    """whether every frame has the size above; else each comes at its own"""


@dataclass(frozen=True, slots=True)
class SourceNote:
    """Something the source says once (a conversion, a skipped folder); becomes an `event` of the run."""

    code: str
    message: str
    severity: Literal["info", "warning"] = "info"
    doubt: str = ""
    """what of it speaks against the result of the run, for `run_stop`"""
    field_index: int | None = None


class FrameSource(Protocol):
    """One source. A source that paces itself (folder, video) synthesises its triggers.

    `read` blocks up to `timeout_s` and returns the next frame in trigger order, raises `SourceEnded` at the end,
    `SourceTimeout` when nothing came and `SourceError` when it cannot go on. One bad frame is a `Frame` with status "failed".
    """

    @property
    def info(self) -> SourceInfo: ...

    def look_again(self) -> None:
        """A run is about to begin, and its first record says how many fields there are: look anew. Raises `SourceError`."""
        ...

    def start(self) -> None:
        """A run begins: no frame that was there before is served, and nothing was read ahead. Raises `SourceError`."""
        ...

    def read(self, timeout_s: float) -> Frame: ...

    def notes(self) -> list[SourceNote]:
        """Notes since the last call; each is given once."""
        ...

    def statistics(self) -> SourceStatistics:
        """Since `start`."""
        ...

    def close(self) -> None: ...


class SourceBase:
    """What sources share: they count what they give, collect their notes, and most have nothing to do when a run begins."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}
        self._notes: list[SourceNote] = []

    def look_again(self) -> None:
        """Most sources know no number of fields that could have changed."""

    def start(self) -> None:
        self._given.clear()

    def notes(self) -> list[SourceNote]:
        notes, self._notes = self._notes, []
        return notes

    def statistics(self) -> SourceStatistics:
        given = self._given
        return SourceStatistics(delivered=given.get("ok", 0), lost=given.get("lost", 0), incomplete=given.get("incomplete", 0))

    @property
    def takes_triggers(self) -> bool:
        return True

    @property
    def is_settling(self) -> bool:
        return False

    @property
    def is_certain(self) -> bool:
        return True

    def look_before_matching(self, look: Callable[[], None]) -> None:
        """Frames of most sources bear their trigger's name and need no matching."""

    def _count(self, frame: Frame) -> Frame:
        """The frame, on its way to whoever reads."""
        self._given[frame.status] = self._given.get(frame.status, 0) + 1
        return frame


class TriggeredSource(FrameSource, Protocol):
    """A source that gives one frame for each exposure it is told of (`info.self_paced` is false)."""

    @property
    def takes_triggers(self) -> bool:
        """Whether a trigger announced now has a chance; while not, no credit should be given. `expect` works all the same."""
        ...

    @property
    def is_settling(self) -> bool:
        """Whether a trigger should wait a moment: expected now it would be lost, and soon it would not."""
        ...

    @property
    def is_certain(self) -> bool:
        """Whether nothing can come any more that would show a frame to be another trigger's; a run ends only then."""
        ...

    def look_before_matching(self, look: Callable[[], None]) -> None:
        """`look` is called when a frame has come and before it is matched: it must expect whatever was announced until then."""
        ...

    def expect(self, trigger: Trigger) -> None:
        """The next exposure is this trigger's; a source that is fired by software fires now. Raises `SourceError`."""
        ...

    def give_up(self, trigger_id: str) -> None:
        """This trigger has ended without a frame: one that comes all the same must not be taken for another trigger's."""
        ...
