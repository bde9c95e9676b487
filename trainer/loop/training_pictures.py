"""Pictures that a training leaves beside its losses: what its network sees, and what it does worst."""

from collections.abc import Callable
from pathlib import Path

import cv2

from edge.contracts.detections import Image
from edge.contracts.errors import DataError
from edge.contracts.whole_file import write_whole
from trainer.data.check.class_examples import contact_sheet
from trainer.data.compose.field import Field
from trainer.loop.batches import Batch

WORST_ERRORS = "worst_errors.jpg"

SAMPLES = 16
"""Of the first batches of each phase that are shown."""

COLUMNS = 4

JPEG_QUALITY = 90

Say = Callable[[str], object]


def first_batches_name(phase: int) -> str:
    """File name of the sheet of phase `phase` (from 0): each phase may have another size of fields."""
    return f"first_batches_phase{phase + 1}.jpg"


def write_picture(path: Path, picture: Image, say: Say) -> bool:
    """Whether it was written. A training does not end for want of a picture: what the system has against it is said."""
    _, encoded = cv2.imencode(path.suffix, picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    try:
        write_whole(path, encoded.tobytes())
    except OSError as problem:
        say(f"the picture {path} could not be written ({problem.strerror}); the training goes on without it.")
        return False
    return True


class FirstBatches:
    """Collects the first samples of each phase as they are trained on: composed, augmented, at the network's size.

    A resumed training shows no phase that it did not begin itself. Of several processes the first one shows its share.
    """

    def __init__(self, folder: Path, say: Say, shown: Callable[[Path], object]) -> None:
        """`shown` is told of each sheet that was written."""
        self._folder, self._say, self._shown = folder, say, shown
        self._phase: int | None = None
        self._fields: list[Field] = []

    def see(self, batch: Batch) -> None:
        """A batch that is about to be trained on."""
        if batch.first_sample == 0:
            self.close()
            self._phase = batch.phase
        if batch.phase != self._phase:
            return
        for part in batch.parts:
            for image, target in zip(part.images, part.targets, strict=True):
                if len(self._fields) < SAMPLES:
                    # A copy: the pixels may lie in memory that the next batch takes.
                    self._fields.append(Field(image.numpy().copy(), target.boxes.numpy(), target.labels.numpy()))
        if len(self._fields) >= SAMPLES:
            self.close()

    def close(self) -> None:
        """Write what there is of the phase that was begun."""
        if self._phase is not None and self._fields:
            path = self._folder / first_batches_name(self._phase)
            if write_picture(path, contact_sheet(self._fields, COLUMNS), self._say):
                try:
                    self._shown(path)
                except DataError as problem:  # never instead of what ends the training
                    self._say(str(problem))
        self._phase, self._fields = None, []
