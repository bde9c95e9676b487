"""libaravis 0.8 through ctypes, without a compiler or a bindings package: loaded, asked for cameras and for their features."""

import ctypes as c
from functools import lru_cache
from typing import Any

from edge.camera.industrial.camera_device import CameraFault
from edge.contracts.errors import SourceError

_NAMES = ("libaravis-0.8.so.0", "libaravis-0.8.dylib")
_P, _STR, _INT, _U64 = c.c_void_p, c.c_char_p, c.c_int, c.c_uint64
_STRS = c.POINTER(_STR)
_U64S = c.POINTER(c.c_uint64)

_READ_ONLY, _WRITE_ONLY = 0, 1
"""libaravis's access modes; what is neither can be read and written."""
_WHAT = ("id", "address", "model", "serial_nbr")

MAY_FAIL: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "arv_camera_new": (_P, (_STR,)),
    "arv_camera_is_feature_available": (_INT, (_P, _STR)),
    "arv_camera_dup_available_enumerations_as_strings": (_STRS, (_P, _STR, c.POINTER(c.c_uint))),
    "arv_gc_feature_node_get_value_as_string": (_STR, (_P,)),
    "arv_gc_feature_node_set_value_from_string": (None, (_P, _STR)),
    "arv_camera_software_trigger": (None, (_P,)),
    "arv_camera_get_payload": (c.c_uint, (_P,)),
    "arv_camera_gv_set_packet_size": (None, (_P, _INT)),
    "arv_camera_create_stream": (_P, (_P, _P, _P)),
    "arv_camera_start_acquisition": (None, (_P,)),
    "arv_camera_stop_acquisition": (None, (_P,)),
}
"""Functions whose last argument, not listed here, is a GError**."""

PLAIN: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "arv_camera_get_device": (_P, (_P,)),
    "arv_device_get_feature": (_P, (_P, _STR)),
    "arv_gc_feature_node_get_actual_access_mode": (_INT, (_P,)),
    "arv_camera_is_gv_device": (_INT, (_P,)),
    "arv_gv_device_is_controller": (_INT, (_P,)),
    "arv_stream_push_buffer": (None, (_P, _P)),
    "arv_stream_timeout_pop_buffer": (_P, (_P, _U64)),
    "arv_stream_get_statistics": (None, (_P, _U64S, _U64S, _U64S)),
    "arv_gv_stream_get_statistics": (None, (_P, _U64S, _U64S)),
    "arv_buffer_new_allocate": (_P, (c.c_size_t,)),
    "arv_buffer_get_status": (_INT, (_P,)),
    "arv_buffer_get_frame_id": (_U64, (_P,)),
    "arv_buffer_get_timestamp": (_U64, (_P,)),
    "arv_buffer_get_system_timestamp": (_U64, (_P,)),
    "arv_buffer_get_data": (_P, (_P, c.POINTER(c.c_size_t))),
    "arv_buffer_get_image_width": (_INT, (_P,)),
    "arv_buffer_get_image_height": (_INT, (_P,)),
    "arv_buffer_get_image_padding": (None, (_P, c.POINTER(_INT), c.POINTER(_INT))),
    **{f"arv_get_{part}_version": (c.c_uint, ()) for part in ("major", "minor", "micro")},
    "arv_update_device_list": (None, ()),
    "arv_get_n_devices": (c.c_uint, ()),
    "arv_get_device_id": (_STR, (c.c_uint,)),
    "arv_get_device_address": (_STR, (c.c_uint,)),
    "arv_get_device_model": (_STR, (c.c_uint,)),
    "arv_get_device_serial_nbr": (_STR, (c.c_uint,)),
    "g_object_unref": (None, (_P,)),
    "g_error_free": (None, (_P,)),
    "g_free": (None, (_STRS,)),
}

BUFFER_STATUS = {
    0: "",
    1: "it was cleared before it was filled",
    2: "packets came too late",
    3: "packets are missing",
    4: "packets came with wrong numbers",
    5: "it has another size than announced",
    6: "it was still being filled",
    7: "the acquisition was stopped meanwhile",
    8: "its payload is of a kind that cannot be read",
}
"""What libaravis says of a buffer; empty when it is whole."""


class _GError(c.Structure):
    _fields_ = [("domain", c.c_uint32), ("code", c.c_int), ("message", c.c_char_p)]


class Aravis:
    """Calls by name. What libaravis reports as an error is raised as `CameraFault` with its sentence."""

    def __init__(self, library: c.CDLL) -> None:
        self._calls: dict[str, Any] = {}
        for name, (result, arguments) in {**MAY_FAIL, **PLAIN}.items():
            call = getattr(library, name)
            call.restype = result
            call.argtypes = [*arguments, c.POINTER(c.POINTER(_GError))] if name in MAY_FAIL else list(arguments)
            self._calls[name] = call

    def __call__(self, name: str, *arguments: Any) -> Any:  # noqa: ANN401 - a C function's
        if name not in MAY_FAIL:
            return self._calls[name](*arguments)
        error = c.POINTER(_GError)()
        result = self._calls[name](*arguments, c.byref(error))
        if error:
            message = (error.contents.message or b"").decode(errors="replace").rstrip(".")
            self._calls["g_error_free"](c.cast(error, c.c_void_p))
            raise CameraFault(message or f"{name} failed")
        return result


@lru_cache(maxsize=1)
def aravis() -> Aravis:
    """The library. Raises `SourceError` when it is not installed, or too old."""
    for name in _NAMES:
        try:
            return Aravis(c.CDLL(name, mode=c.RTLD_GLOBAL))
        except OSError:
            continue
        except AttributeError as problem:
            raise SourceError(f"{name} is too old ({problem}); install libaravis 0.8.20 or newer.") from problem
    raise SourceError("libaravis 0.8 is not installed; on Debian and Ubuntu: apt install libaravis-0.8-0.")


def discovered_aravis() -> list[dict[str, str]]:
    """Source and description of each camera that libaravis finds. Sends broadcasts; raises `SourceError` without libaravis."""
    lib = aravis()
    lib("arv_update_device_list")
    found = []
    for index in range(lib("arv_get_n_devices")):
        said = {what: (lib(f"arv_get_device_{what}", index) or b"").decode(errors="replace") for what in _WHAT}
        if said["model"] == "Fake" and not said["address"]:
            continue  # libaravis's own stand-in, which is no camera
        found.append(
            {
                "source": f"aravis:{said['address'] or said['id']}",
                "what": f"{said['model']}, serial number {said['serial_nbr']}, {said['id']}",
            }
        )
    return found


class AravisFeatures:
    """Implements `Features` over the camera's description, by which every kind of feature can be told and set as text."""

    def __init__(self, library: Aravis, camera: int) -> None:
        self._lib = library
        self._camera = camera
        self._device = library("arv_camera_get_device", camera)

    def can_read(self, name: str) -> bool:
        return self._access(name) not in {None, _WRITE_ONLY}

    def can_write(self, name: str) -> bool:
        return self._access(name) not in {None, _READ_ONLY}

    def text(self, name: str) -> str:
        said: bytes | None = self._lib("arv_gc_feature_node_get_value_as_string", self._node(name))
        return (said or b"").decode(errors="replace")

    def number(self, name: str) -> float:
        text = self.text(name)
        try:
            return float(text)
        except ValueError as problem:
            raise CameraFault(f"its feature {name} is {text!r}, which is no number") from problem

    def choices(self, name: str) -> tuple[str, ...]:
        if self._access(name) is None:
            return ()
        n = c.c_uint()
        texts = self._lib("arv_camera_dup_available_enumerations_as_strings", self._camera, name.encode(), c.byref(n))
        found = tuple(texts[at].decode(errors="replace") for at in range(n.value)) if texts else ()
        self._lib("g_free", texts)
        return found

    def write(self, name: str, value: str) -> None:
        try:
            self._lib("arv_gc_feature_node_set_value_from_string", self._node(name), value.encode())
        except CameraFault as problem:
            raise CameraFault(f"{name}={value}: {problem}") from problem

    def _access(self, name: str) -> int | None:
        """None for a feature that is not there, or not now."""
        if not self._lib("arv_device_get_feature", self._device, name.encode()):
            return None
        try:
            if not self._lib("arv_camera_is_feature_available", self._camera, name.encode()):
                return None
        except CameraFault:
            return None
        return int(self._lib("arv_gc_feature_node_get_actual_access_mode", self._node(name)))

    def _node(self, name: str) -> int:
        node: int | None = self._lib("arv_device_get_feature", self._device, name.encode())
        if not node:
            raise CameraFault(f"its feature {name} is not there")
        return node
