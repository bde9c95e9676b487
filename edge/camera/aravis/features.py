"""A camera's GenICam features through libaravis."""

import ctypes as c

from edge.camera.aravis.library import Aravis
from edge.camera.industrial.camera_device import CameraFault

_READ_ONLY, _WRITE_ONLY = 0, 1
"""libaravis's access modes; what is neither can be read and written."""


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
