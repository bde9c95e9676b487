"""What profile, bundle and order make of a run's pixels: the correction on their way in, and the watch on how they look."""

from edge.camera.colour_transform import balance, colour_table
from edge.camera.correction import Correction
from edge.contracts.bundle import Bundle
from edge.contracts.colours import MeasuredColours, MeasuredLight
from edge.contracts.profile import part_sha256
from edge.contracts.run_order import QualityPolicy, RunOrder
from edge.quality import ColourDrift, FieldWatch, UnknownColours
from edge.settings import Setup


def correction_for(setup: Setup) -> Correction | None:
    """None where the profile has neither light nor colours, or nothing is to be corrected."""
    return correction_of(setup.light, setup.colours, setup.bundle)


def correction_of(light: MeasuredLight | None, colours: MeasuredColours | None, bundle: Bundle) -> Correction | None:
    """What a profile's light and colours make of fields for a bundle.

    Colours that are moved to the bundle's take the white balance along, so that it is done only where they are not.
    """
    reference = bundle.manifest.reference_colours
    if light is None and colours is None:
        return None
    table = None
    if colours is not None and reference is not None:
        table = colour_table(colours.colours, reference)
    elif light is not None:
        table = balance(light.white)
    return Correction(
        shade=light.shade if light is not None else None,
        table=table.table if table is not None else None,
        colour_name=table.name if table is not None else None,
        light_sha256=part_sha256(light) if light is not None else None,
    )


def colour_watch_for(setup: Setup, um_per_px: float) -> ColourDrift | UnknownColours | None:
    """Against the profile's colours, or, where it has none, those that the bundle knows; None where neither has any."""
    if setup.colours is not None:
        return ColourDrift(setup.colours, setup.light, um_per_px)
    reference = setup.bundle.manifest.reference_colours
    return UnknownColours(reference, setup.light, um_per_px) if reference is not None else None


def watch_for(setup: Setup, order: RunOrder | None, um_per_px: float) -> FieldWatch:
    """By the order's policy; without an order fields that came out badly are marked."""
    policy: QualityPolicy = order.quality if order is not None else "mark"
    focus = setup.focus
    return FieldWatch(policy, um_per_px, focus.min_score if focus is not None and focus.compares else None)
