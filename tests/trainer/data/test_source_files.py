"""Images that others wrote: what is no picture is refused at once, in one sentence."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from trainer.data.faults import UnreadableImage
from trainer.data.source_files import image_size, read_image


@pytest.mark.timeout(20)
def test_a_pipe_with_an_image_s_name_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    for read in (image_size, read_image):
        with pytest.raises(UnreadableImage, match="is no file but a pipe"):
            read(tmp_path / "a.png")


def test_a_file_with_several_pages_is_refused_because_nobody_can_tell_which_is_meant(tmp_path: Path) -> None:
    cv2.imwritemulti(str(tmp_path / "a.tif"), [np.zeros((8, 8, 3), np.uint8)] * 2)
    with pytest.raises(UnreadableImage, match="holds 2 pages where one is wanted"):
        read_image(tmp_path / "a.tif")
