"""`leuko-edge cameras`: one driver that cannot look hides nothing, and a camera that gives no frame is a failure."""

import json

import pytest
from support.stand_ins import ListSource, frame_of

from edge.camera.frame import SourceTimeout
from edge.camera.industrial.camera_device import CameraFault
from edge.cli import main
from edge.contracts.errors import SourceError
from edge.doctor import camera_facts, camera_search

pytestmark = pytest.mark.timeout(60)
Found = list[dict[str, str]] | SourceError
PYLON: Found = [{"source": "pylon:24", "what": "Basler acA"}]
ARAVIS: Found = [{"source": "aravis:10.0.0.2", "what": "Maker Model"}]
NO_ARAVIS = SourceError("libaravis cannot be loaded; install it.")
PYLON_FAULT = CameraFault("pylon's emulator is missing.")


def cameras(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["leuko-edge", "cameras", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.mark.parametrize(
    ("network", "pylon", "aravis", "code", "found", "problems"),
    [
        pytest.param(True, PYLON, ARAVIS, 0, ["pylon:24", "aravis:10.0.0.2"], [], id="both find one"),
        pytest.param(True, PYLON, NO_ARAVIS, 0, ["pylon:24"], [NO_ARAVIS], id="no libaravis, and pylon finds one"),
        pytest.param(True, PYLON_FAULT, ARAVIS, 0, ["aravis:10.0.0.2"], [PYLON_FAULT], id="pylon is broken"),
        pytest.param(True, PYLON_FAULT, NO_ARAVIS, 4, [], [PYLON_FAULT, NO_ARAVIS], id="neither can look"),
        pytest.param(True, [], [], 4, [], [], id="nothing there"),
        pytest.param(False, PYLON, NO_ARAVIS, 0, ["pylon:24"], [], id="the network is not asked"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_what_is_found_is_listed_whatever_else_fails(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    network: bool,
    pylon: Found,
    aravis: Found,
    code: int,
    found: list[str],
    problems: list[SourceError],
    as_json: bool,
) -> None:
    def looking(result: Found) -> list[dict[str, str]]:
        if isinstance(result, SourceError):
            raise result
        return list(result)

    monkeypatch.delenv("GENICAM_GENTL64_PATH", raising=False)
    monkeypatch.setattr(camera_search, "_video_devices", list)
    monkeypatch.setattr(camera_search, "discovered_pylon", lambda _: looking(pylon))
    monkeypatch.setattr(camera_search, "discovered_aravis", lambda: looking(aravis))
    options = ["--network"] * network + ["--json"] * as_json
    ended, out, err = cameras(capsys, monkeypatch, *options)
    listed = [each["source"] for each in json.loads(out)] if as_json else [line.split()[0] for line in out.splitlines()]
    assert (ended, listed) == (code, found)
    said = err.splitlines()
    assert said[: len(problems)] == [str(problem) for problem in problems]
    assert said[len(problems) :] == [line for line in said if "no camera was found; check that it is on" in line]
    assert len(said) == len(problems) + (code == 4)


@pytest.mark.parametrize(
    ("script", "code", "status", "says"),
    [
        pytest.param([frame_of(0)], 0, "ok", "", id="a frame comes"),
        pytest.param([SourceTimeout("not yet."), frame_of(0)], 0, "ok", "", id="a frame comes at the second look"),
        pytest.param([frame_of(0, status="incomplete")], 0, "incomplete", "", id="a damaged one comes"),
        pytest.param([SourceTimeout("no.")] * 100_000, 4, "none", "check that the firewall lets its packets in", id="silence"),
        pytest.param([SourceTimeout("no.")] * 100_000, 4, "none", "(MTU; packet=1500", id="what silence may come from, too"),
        pytest.param([SourceError("scripted: it broke.")], 4, "none", "scripted: it broke.", id="it breaks"),
        pytest.param([], 4, "none", "list: ended before its first frame", id="it ends"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_a_camera_that_paces_itself_must_give_a_frame(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    script: list[Exception],
    code: int,
    status: str,
    says: str,
    as_json: bool,
) -> None:
    source = ListSource(script)
    monkeypatch.setattr(camera_facts, "_FRAME_S", 0.05)
    monkeypatch.setattr(camera_facts, "open_source", lambda *_: source)
    ended, out, err = cameras(capsys, monkeypatch, "virtual:", *["--json"] * as_json)
    assert ended == code
    assert source.closed
    assert says in err
    assert len(err.splitlines()) == (code == 4), "one sentence"
    if as_json:
        facts = json.loads(out)
        assert (facts["source"], facts["width_px"], facts["frame"]["status"]) == ("list:", 8, status)
    else:
        assert out.startswith("list:: 8 x 4 px, paced by itself\n"), "what is known is told all the same"
        assert f"first frame: {status}" in out


def test_a_camera_that_waits_for_triggers_is_not_waited_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = cameras(capsys, monkeypatch, "virtual:trigger=software,width=64,height=48,variants=1,rbc=1", "--json")
    assert (code, err) == (0, "")
    assert (json.loads(out)["paced_by"], json.loads(out)["frame"]) == ("triggers", None)
