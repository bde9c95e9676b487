"""A GigE Vision camera of our own: libaravis's fake one, over real GVCP and GVSP, as fast as it is triggered.

Usage: python -m support.fake_gige [--lost-per-mille N] [--hz N] [--images FILE.npy]; it ends with its standard input. Without
images every field carries the number of its exposure; with them (uint8 [n, H, W, 3], RGB) they are shown in turn.
"""

import argparse
import ctypes as c
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

RGB8 = 0x02180014
GREY = 235
TRIGGERED_HZ = 1000.0
"""How often the fake looks for a trigger."""
_P = c.c_void_p

_WHITE_BALANCE = b"""
<Enumeration Name="BalanceRatioSelector" NameSpace="Standard">
  <EnumEntry Name="Red" NameSpace="Standard"><Value>0</Value></EnumEntry>
  <EnumEntry Name="Green" NameSpace="Standard"><Value>1</Value></EnumEntry>
  <EnumEntry Name="Blue" NameSpace="Standard"><Value>2</Value></EnumEntry>
  <pValue>BalanceRatioSelectorInteger</pValue>
</Enumeration>
<Integer Name="BalanceRatioSelectorInteger" NameSpace="Custom"><Value>0</Value></Integer>
<Float Name="BalanceRatio" NameSpace="Standard"><pValue>BalanceRatioConverter</pValue></Float>
<Converter Name="BalanceRatioConverter" NameSpace="Custom">
  <FormulaTo>FROM * 1000</FormulaTo><FormulaFrom>TO / 1000.0</FormulaFrom><pValue>BalanceRatioRegister</pValue>
</Converter>
<IntReg Name="BalanceRatioRegister" NameSpace="Custom">
  <Address>0x400</Address><pIndex Offset="4">BalanceRatioSelectorInteger</pIndex><Length>4</Length><AccessMode>RW</AccessMode>
  <pPort>Device</pPort><Sign>Unsigned</Sign><Endianess>BigEndian</Endianess>
</IntReg>
"""
"""Features that libaravis's fake camera lacks, kept in three of its unused registers."""


def number_of(image: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> int:
    """Which exposure of the camera a BGR image is, from 0. Asserts that the rest of it is as it was made."""
    assert (image.reshape(-1)[3:] == GREY).all(), "the image is not what the camera showed"
    blue, green, red = (int(value) for value in image[0, 0])
    return red << 16 | green << 8 | blue


def library() -> Any:  # noqa: ANN401 - functions found by name
    lib = c.CDLL("libaravis-0.8.so.0", mode=c.RTLD_GLOBAL)
    for name, result, arguments in (
        ("arv_gv_fake_camera_new_full", _P, [c.c_char_p, c.c_char_p, c.c_char_p]),
        ("arv_gv_fake_camera_is_running", c.c_int, [_P]),
        ("arv_gv_fake_camera_get_fake_camera", _P, [_P]),
        ("arv_fake_camera_new", _P, [c.c_char_p]),
        ("arv_fake_camera_get_genicam_xml", _P, [_P, c.POINTER(c.c_size_t)]),
        ("arv_buffer_get_data", _P, [_P, c.POINTER(c.c_size_t)]),
        ("arv_buffer_get_image_width", c.c_int, [_P]),
        ("arv_buffer_get_image_height", c.c_int, [_P]),
        ("arv_fake_camera_set_trigger_frequency", None, [_P, c.c_double]),
        ("g_object_set", None, [_P, c.c_char_p, c.c_double, _P]),
    ):
        call = getattr(lib, name)
        call.restype, call.argtypes = result, arguments
    return lib


def features(lib: Any) -> bytes:  # noqa: ANN401
    """The fake camera's own description, and a white balance."""
    size = c.c_size_t()
    xml = c.string_at(lib.arv_fake_camera_get_genicam_xml(lib.arv_fake_camera_new(b"any"), c.byref(size)), size.value)
    at = xml.index(b'<Port Name="Device"')
    return xml[:at] + _WHITE_BALANCE + xml[at:]


def serve(lost_per_mille: float, hz: float, images: Path | None) -> None:
    lib, shown = library(), None if images is None else np.load(images)
    with tempfile.NamedTemporaryFile(suffix=".xml") as description:
        description.write(features(lib))
        description.flush()
        server = lib.arv_gv_fake_camera_new_full(b"127.0.0.1", b"GV01", description.name.encode())
    if not server or not lib.arv_gv_fake_camera_is_running(server):
        sys.exit("the fake camera does not run")
    if lost_per_mille:
        lib.g_object_set(server, b"gvsp-lost-ratio", lost_per_mille / 1000, None)
    camera = lib.arv_gv_fake_camera_get_fake_camera(server)
    lib.arv_fake_camera_set_trigger_frequency(camera, hz)
    fill_type = c.CFUNCTYPE(None, _P, _P, c.c_uint32, c.c_uint32, c.c_uint32)
    lib.arv_fake_camera_set_fill_pattern.argtypes = [_P, fill_type, _P]
    n_exposures = 0

    def fill(buffer: int, _data: int, _exposure_us: int, _gain: int, pixel_format: int) -> None:
        nonlocal n_exposures
        address = lib.arv_buffer_get_data(buffer, None)
        depth = 3 if pixel_format == RGB8 else 1
        size = depth * lib.arv_buffer_get_image_width(buffer) * lib.arv_buffer_get_image_height(buffer)
        if shown is not None:
            image = shown[n_exposures % len(shown)]
            c.memmove(address, image.ctypes.data, min(size, image.nbytes))
        else:
            c.memset(address, GREY, size)
            if pixel_format == RGB8:
                c.memmove(address, n_exposures.to_bytes(3, "big"), 3)
        n_exposures += 1

    kept = fill_type(fill)
    lib.arv_fake_camera_set_fill_pattern(camera, kept, None)
    print("running", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lost-per-mille", type=float, default=0.0)
    parser.add_argument("--hz", type=float, default=TRIGGERED_HZ)
    parser.add_argument("--images", type=Path)
    given = parser.parse_args()
    serve(given.lost_per_mille, given.hz, given.images)
