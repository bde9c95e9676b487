"""The parity gate of a server: what passes it may compute a run, what has become another since may not; records name it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.emulated_server import NAME, EmulatedServer, emulated_server
from support.real_triton import real_triton, triton_environment
from support.tiny_bundle import BLOBS, blob_field, write_tiny_bundle

import builder.cli
import edge.cli
from edge.contracts.bundle import Bundle

pytestmark = pytest.mark.timeout(180)
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("gated") / "bundle")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographed fields, as far as a gate can tell: a folder of 60 with four cells each."""
    folder = tmp_path_factory.mktemp("fields")
    random = np.random.default_rng(3)
    for number in range(60):
        places = [(x, y) for x in (4, 60, 116) for y in (8, 72)]
        cells = [(str(random.choice(list(BLOBS))), *places[at]) for at in random.permutation(6)[:4]]
        cv2.imwrite(str(folder / f"{number}.png"), blob_field(cells))
    return folder


@pytest.fixture
def server(bundle: Bundle) -> Iterator[EmulatedServer]:
    with emulated_server(bundle) as found:
        yield found


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    def called(program: str, *words: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", [program, *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            (builder.cli if program == "leuko-build" else edge.cli).main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return called


def verify(call: Call, bundle: Bundle, images: Path, address: str, engines: Path) -> tuple[int, str, str]:
    words = ("--images", images, "--um-per-px", 0.13, "--server", address, "--engine-dir", engines, "--json")
    return call("leuko-build", "verify", bundle.path, *words)


def count(call: Call, bundle: Bundle, images: Path, address: str, engines: Path, out: Path, *more: str) -> tuple[int, str, str]:
    words = (images, "--um-per-px", 0.13, "--bundle", bundle.path, "--engine-dir", engines, "--server", address)
    return call(
        "leuko-edge", "count", *words, "--server-deadline-ms", 20000, "--pictures", "none", "--out", out, "--json", *more
    )


def test_a_server_that_passed_computes_a_run_and_its_records_name_it(
    bundle: Bundle, images: Path, server: EmulatedServer, call: Call, tmp_path: Path
) -> None:
    engines = tmp_path / "engines"
    code, said, error = verify(call, bundle, images, server.address, engines)
    assert code == 0, error
    assert json.loads(said)["passed"] and json.loads(said)["report"]["engine"]["matched"] == 240
    code, said, error = count(call, bundle, images, server.address, engines, tmp_path / "out", "--max-batch", "4")
    assert code == 0, error
    result, (folder,) = json.loads(said), engines.iterdir()
    origin = result["provenance"]
    assert (origin["engine_parity"], origin["engine_key"]) == ("passed", folder.name) and NAME in origin["engine"]
    assert origin["engine_plan_sha256"] == json.loads((folder / "parity.json").read_text())["plan_sha256"]
    assert sum(result["cells_of_all_fields"].values()) == 240
    code, here, _ = call(
        "leuko-edge", "count", images, "--um-per-px", 0.13, "--bundle", bundle.path, "--pictures", "none", "--out",
        tmp_path / "here", "--json", "--precision", "f32",
    )  # fmt: skip
    assert (json.loads(here)["cells"], code) == (result["cells"], 0)


def test_the_gate_is_for_frames_as_the_images_have_them_in_a_run(
    bundle: Bundle, images: Path, server: EmulatedServer, call: Call, tmp_path: Path
) -> None:
    larger = tmp_path / "larger"
    larger.mkdir()
    for file in images.iterdir():  # so near to the bundle's field that they are not resampled
        cv2.imwrite(str(larger / file.name), np.pad(cv2.imread(str(file)), ((0, 1), (0, 2), (0, 0)), constant_values=255))
    engines = tmp_path / "engines"
    assert verify(call, bundle, larger, server.address, engines)[0] == 0
    code, said, _ = count(call, bundle, larger, server.address, engines, tmp_path / "out")
    assert code == 0 and "162x129" in json.loads(said)["provenance"]["engine_key"]
    code, _, error = count(call, bundle, images, server.address, engines, tmp_path / "other")
    assert code == 5 and "has not passed its parity gate" in error, "for frames of another size nobody has asked"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"scores_by": 0.9}, "does not answer as it did when it passed the parity gate", id="other weights"),
        pytest.param({"version": "1"}, "has not passed its parity gate", id="another version of the server"),
        pytest.param({"tells_configuration": False}, "has not passed its parity gate", id="another configuration"),
    ],
)
def test_a_server_that_is_not_what_it_was_is_refused_also_with_a_fallback(
    bundle: Bundle, images: Path, server: EmulatedServer, call: Call, tmp_path: Path, changes: dict[str, object], says: str
) -> None:
    engines = tmp_path / "engines"
    assert verify(call, bundle, images, server.address, engines)[0] == 0
    for name, value in changes.items():
        setattr(server.does, name, value)
    code, _, error = count(call, bundle, images, server.address, engines, tmp_path / "out", "--server-fallback")
    assert code == 5 and says in error and error.count("\n") == 1


def test_a_server_that_counts_otherwise_does_not_pass(
    bundle: Bundle, images: Path, server: EmulatedServer, call: Call, tmp_path: Path
) -> None:
    server.does.scores_by = 0.3
    code, said, error = verify(call, bundle, images, server.address, tmp_path)
    assert code == 5 and "did not pass the parity gate" in error and not json.loads(said)["passed"]
    code, _, error = count(call, bundle, images, server.address, tmp_path, tmp_path / "out")
    assert code == 5 and "has failed its parity gate" in error
    code, said, _ = count(call, bundle, images, server.address, tmp_path, tmp_path / "waived", "--allow-ungated-engine")
    assert json.loads(said)["provenance"]["engine_parity"] == "failed" and json.loads(said)["marks"]


def test_drawn_fields_and_few_cells_decide_nothing(
    bundle: Bundle, images: Path, server: EmulatedServer, call: Call, tmp_path: Path
) -> None:
    code, _, error = call(
        "leuko-build", "verify", bundle.path, "--server", server.address, "--engine-dir", tmp_path, "--limit", 3
    )
    assert code == 10 and ("drawn fields" in error or "not decided" in error)
    words = ("--images", images, "--um-per-px", 0.13, "--limit", 5)
    code, _, error = call("leuko-build", "verify", bundle.path, "--server", server.address, "--engine-dir", tmp_path, *words)
    assert code == 10 and "is not decided" in error
    code, _, error = count(call, bundle, images, server.address, tmp_path, tmp_path / "out")
    assert code == 5 and "too few cells" in error


def test_a_server_that_dies_in_mid_run_is_on_record(
    bundle: Bundle, images: Path, server: EmulatedServer, call: Call, tmp_path: Path
) -> None:
    def broken_off(*more: str, out: str) -> tuple[int, dict[str, object]]:
        server.does.fail = ""
        server.does.fails_after = server.does.asked + 12
        code, said, _ = count(call, bundle, images, server.address, tmp_path, tmp_path / out, "--allow-ungated-engine", *more)
        return code, json.loads(said)

    code, result = broken_off(out="failed")
    assert code == 1 and result["outcome"] == "failed" and "did not compute a batch" in str(result["detail"])
    code, result = broken_off("--server-fallback", out="went-on")
    assert code == 0 and result["outcome"] == "completed"
    assert sum(result["cells_of_all_fields"].values()) == 240  # type: ignore[attr-defined]
    assert any("From here on OpenVINO" in note for note in result["notes"])  # type: ignore[attr-defined]


def test_signers_and_a_server_do_not_go_together(
    bundle: Bundle, images: Path, server: EmulatedServer, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "keys").mkdir()
    code, _, error = count(
        call, bundle, images, server.address, tmp_path, tmp_path / "out", "--signers", str(tmp_path / "keys")
    )
    assert code in {2, 3} and error.count("\n") == 1


@pytest.mark.soak
def test_a_real_triton_serves_what_serve_repository_writes(bundle: Bundle, images: Path, call: Call, tmp_path: Path) -> None:
    environment = triton_environment()
    assert call("leuko-build", "serve-repository", bundle.path, "--out", tmp_path / "repository")[0] == 0
    (tmp_path / "triton").mkdir()
    with real_triton(environment, tmp_path / "repository" / "triton", tmp_path / "triton") as address:
        code, _, error = verify(call, bundle, images, address, tmp_path / "engines")
        assert code == 0, error
        code, said, error = count(call, bundle, images, address, tmp_path / "engines", tmp_path / "out", "--max-batch", "4")
        assert code == 0, error
    result = json.loads(said)
    assert sum(result["cells_of_all_fields"].values()) == 240 and result["provenance"]["engine_parity"] == "passed"
    assert "triton" in result["provenance"]["engine"] and "shared memory" in result["provenance"]["engine"]
