"""What the drivers do alike: they lend their buffers, and count over acquisitions that each begin at zero."""

import numpy as np
import pytest

from edge.camera.industrial.genicam_device import Counters, Lender

pytestmark = pytest.mark.timeout(30)


def test_a_buffer_is_lent_until_the_last_image_over_it_is_gone() -> None:
    returned: list[int] = []
    lender, images = Lender(4), []
    for number in range(3):
        pixels = np.full((2, 2), number, np.uint8)
        images.append(lender.lend(pixels, number, returned.append))
        del pixels
    assert returned == [2], "half of the driver's buffers are lent; the third frame is a copy"
    assert [int(image[0, 0]) for image in images] == [0, 1, 2]
    part = images[0][:1][None]
    images[0] = np.zeros(1, np.uint8)
    assert returned == [2], "a view needs it still"
    del part
    assert returned == [2, 0]
    assert lender.lent == 1
    with pytest.raises(ValueError, match="directly over a buffer"):
        lender.lend(np.zeros((4, 4), np.uint8)[:2], 9, returned.append)


def test_what_a_driver_counts_is_summed_over_acquisitions() -> None:
    counters = Counters()
    counters.begin({"underruns": 0, "delivered": 0})
    counters.see({"underruns": 1, "delivered": 5})
    assert counters.total() == {"underruns": 1, "delivered": 5}
    counters.begin({"underruns": 0, "delivered": 2})
    counters.see({"underruns": 3, "delivered": 4})
    assert counters.total() == {"underruns": 4, "delivered": 7}
    counters.see({})
    assert list(counters.total().items()) == [("underruns", 4), ("delivered", 7)], "the last ones stand, in the driver's order"
