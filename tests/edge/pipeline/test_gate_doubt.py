"""A parity gate that was passed on other fields than a run has: said with the command that settles it, and no oftener."""

from pathlib import Path

import pytest
from support.tiny_bundle import write_tiny_bundle

from edge.camera.correction import Correction
from edge.contracts.bundle import Bundle
from edge.contracts.engine_files import GateSight
from edge.engine.base import EngineInfo
from edge.pipeline.gate_doubt import doubt_of_gate, doubt_of_run
from edge.settings import EdgeSettings

pytestmark = pytest.mark.timeout(20)

AS_IT_COMES, MOVED, OTHER_TABLE = GateSight(), GateSight("curves-1:aa"), GateSight("curves-1:bb")
SHADE = (((1.0, 0.9), (1.0, 0.9)),) * 3


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("b") / "tiny")


def corrected(colour: str | None, light: str | None = None) -> Correction:
    return Correction(shade=SHADE if light else None, colour_name=colour, light_sha256=light)


@pytest.mark.parametrize(
    ("saw", "correction", "says"),
    [
        pytest.param(None, corrected("curves-1:aa"), (), id="no gate was passed: said elsewhere"),
        pytest.param(AS_IT_COMES, None, (), id="neither was corrected"),
        pytest.param(MOVED, corrected("curves-1:aa"), (), id="the same profile"),
        pytest.param(OTHER_TABLE, corrected("curves-1:aa"), (), id="colours that were measured anew"),
        pytest.param(
            AS_IT_COMES, corrected("curves-1:aa"), ("as the camera gives them", "by curves-1", "--profile p.json"), id="without"
        ),
        pytest.param(
            GateSight("white-1:aa", "l"), corrected("curves-1:aa", "l"), ("by white-1", "by curves-1"), id="by another way"
        ),
        pytest.param(
            MOVED, corrected("curves-1:aa", "l"), ("evened out in light and moved in colour",), id="light was measured since"
        ),
        pytest.param(MOVED, None, ("are as the camera gives them", "--um-per-px SCALE"), id="with, and the run is without"),
    ],
)
def test_a_doubt_names_both_and_the_command(
    bundle: Bundle, saw: GateSight | None, correction: Correction | None, says: tuple[str, ...]
) -> None:
    said = doubt_of_gate("engine e", saw, correction, bundle, profile=Path("p.json"))
    assert bool(said) == bool(says) and all(part in said for part in says)
    assert not said or f"`leuko-build verify {bundle.path} --images DIR" in said


def test_a_server_is_verified_as_a_server(bundle: Bundle) -> None:
    info = EngineInfo("server", "1", "there", "f16", 64, 64, 1, 2, 256, key="served-1", parity="passed", gate_saw=AS_IT_COMES)
    settings = EdgeSettings(source="none", bundle=bundle.path, server="10.0.0.5:8001", profile=Path("p.json"))
    said = doubt_of_run(info, corrected("curves-1:aa"), bundle, settings)
    assert said.startswith("engine served-1 passed") and "--profile p.json --server 10.0.0.5:8001" in said


def test_of_the_fallback_this_machine_is_verified(bundle: Bundle) -> None:
    """A server is set and its engine failed: its gate says nothing of the one that computes meanwhile."""
    info = EngineInfo(
        "OpenVINO", "1", "CPU", "bf16", 64, 64, 1, 2, 256, parity="passed", precision_gate="passed", gate_saw=AS_IT_COMES
    )
    settings = EdgeSettings(
        source="none", bundle=bundle.path, server="10.0.0.5:8001", server_fallback=True, profile=Path("p.json")
    )
    said = doubt_of_run(info, corrected("curves-1:aa"), bundle, settings)
    assert "--profile p.json --precision bf16`" in said and "--server" not in said
