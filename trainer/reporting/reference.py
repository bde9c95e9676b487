"""The reference's own figures (Wang et al., PLoS ONE 2019), as data."""

from pathlib import Path

from edge.contracts.base import Fraction, Strict, parse_json
from edge.contracts.errors import ConfigError

REFERENCE_FILE = Path(__file__).parent / "wang2019.json"


class System(Strict):
    """One column of its Table 1 and row of its Table 2. `ap` is in the order of `Reference.classes`."""

    name: str
    map: Fraction
    training_hours: float
    inference_ms: float
    ap: tuple[Fraction, ...]


class Matrix(Strict):
    """One panel of its Fig. 8: rows are true classes, columns called ones, each row a share of 1."""

    name: str
    mean_accuracy: Fraction
    rows: tuple[tuple[Fraction, ...], ...]


class Abnormal(Strict):
    """Its Fig. 10: mean AP over the classes that healthy blood hardly shows, by system."""

    classes: tuple[str, ...]
    mean_ap: dict[str, Fraction]


class Reference(Strict):
    """What the report sets beside its own figures. Images are counts of its test sets."""

    source: str
    short: str
    gpu: str
    test_images: int
    cell_images: int
    classes: tuple[str, ...]
    systems: tuple[System, ...]
    confusion: tuple[Matrix, ...]
    abnormal: Abnormal


def load_reference() -> Reference:
    """The figures that come with the package."""
    return parse_json(Reference, REFERENCE_FILE.read_bytes(), REFERENCE_FILE.name, ConfigError)
