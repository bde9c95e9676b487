"""What may stand behind the address of a camera."""

import pytest

from edge.camera.industrial.camera_options import CameraOptions, parse_options
from edge.camera.uri import open_source
from edge.contracts.errors import ConfigError

pytestmark = pytest.mark.timeout(30)


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        pytest.param(",trigger=software", "names no camera", id="no address"),
        pytest.param("10.0.0.1,exposure=5", "`exposure` is not a known key", id="unknown option"),
        pytest.param("10.0.0.1,trigger=sometimes", "`trigger`", id="unknown trigger"),
        pytest.param("10.0.0.1,buffers", "is not NAME=VALUE", id="no value"),
        pytest.param("10.0.0.1,format=YUV422", "`format`", id="a format nobody can read"),
    ],
)
def test_a_mistake_in_the_address_is_one_sentence(rest: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        open_source(f"aravis:{rest}", 0.13)


@pytest.mark.parametrize(
    ("rest", "address", "lost_s"),
    [
        pytest.param("0", "0", 15.0, id="an index"),
        pytest.param("0,lost_s=3", "0", 3.0, id="an index and an option"),
        pytest.param("rtsp://a:b@host/x?y=1,2,z=3,lost_s=3", "rtsp://a:b@host/x?y=1,2,z=3", 3.0, id="a URL with commas"),
        pytest.param(
            "v4l2src ! video/x-raw,width=640 ! appsink", "v4l2src ! video/x-raw,width=640 ! appsink", 15.0, id="GStreamer"
        ),
    ],
)
def test_options_follow_an_address_that_may_hold_commas(rest: str, address: str, lost_s: float) -> None:
    found, options = parse_options("opencv", rest, CameraOptions, address_pattern=r"\S.*")
    assert (found, options.lost_s) == (address, lost_s)
