"""Cameras that answer a broadcast."""

from edge.camera.aravis.library import aravis


def discovered() -> list[dict[str, str]]:
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


_WHAT = ("id", "address", "model", "serial_nbr")
