"""A GigE Vision camera of our own: libaravis's fake one, over real GVCP and GVSP, showing fields that carry their number.

Usage: python -m support.fake_gige LOST_PER_MILLE [FREE_RUNNING_HZ]; it ends with its standard input.
"""

import ctypes as c
import sys

import numpy as np

RGB8 = 0x02180014
_P = c.c_void_p


def number_of(image: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> int:
    """Which exposure of the camera a BGR image is, from 0."""
    blue, green, red = (int(value) for value in image[0, 0])
    return red << 16 | green << 8 | blue


def serve(lost_per_mille: float, hz: float) -> None:
    lib = c.CDLL("libaravis-0.8.so.0", mode=c.RTLD_GLOBAL)
    lib.arv_gv_fake_camera_new.restype = _P
    lib.arv_gv_fake_camera_new.argtypes = [c.c_char_p, c.c_char_p]
    lib.arv_gv_fake_camera_get_fake_camera.restype = _P
    lib.arv_gv_fake_camera_get_fake_camera.argtypes = [_P]
    lib.arv_buffer_get_data.restype = _P
    lib.arv_buffer_get_data.argtypes = [_P, c.POINTER(c.c_size_t)]
    lib.arv_fake_camera_set_trigger_frequency.argtypes = [_P, c.c_double]
    fill_type = c.CFUNCTYPE(None, _P, _P, c.c_uint32, c.c_uint32, c.c_uint32)
    lib.arv_fake_camera_set_fill_pattern.argtypes = [_P, fill_type, _P]
    lib.g_object_set.argtypes = [_P, c.c_char_p, c.c_double, _P]
    server = lib.arv_gv_fake_camera_new(b"127.0.0.1", b"GV01")
    if not server or not lib.arv_gv_fake_camera_is_running(c.c_void_p(server)):
        sys.exit("the fake camera does not run")
    if lost_per_mille:
        lib.g_object_set(server, b"gvsp-lost-ratio", lost_per_mille / 1000, None)
    camera = lib.arv_gv_fake_camera_get_fake_camera(server)
    if hz:
        lib.arv_fake_camera_set_trigger_frequency(camera, hz)
    n_exposures = 0

    def fill(buffer: int, _data: int, _exposure_us: int, _gain: int, pixel_format: int) -> None:
        nonlocal n_exposures
        size = c.c_size_t()
        address = lib.arv_buffer_get_data(buffer, c.byref(size))
        c.memset(address, 235, size.value)
        if pixel_format == RGB8:
            c.memmove(address, n_exposures.to_bytes(3, "big"), 3)
        n_exposures += 1

    kept = fill_type(fill)
    lib.arv_fake_camera_set_fill_pattern(camera, kept, None)
    print("running", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(float(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
