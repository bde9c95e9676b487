"""Which bundle serves and why: the same from `run`, `config show`, `config check`, `doctor` and the support archive."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.tiny_bundle import write_tiny_bundle
from typer.testing import CliRunner, Result

from edge.command_list import app
from edge.contracts.bundle import Bundle, load_bundle
from edge.contracts.errors import EngineError
from edge.contracts.records import RunOutcome
from edge.doctor import diagnosis_text
from edge.doctor.run_support import as_set_now
from edge.engine.machine import look_at_machine
from edge.pipeline import Parts
from edge.service import serve
from edge.service.bundle_switch import Answer, NamedBundle, Switch
from edge.service.serving_setup import Stated, opened_as_ordered
from edge.settings import Setup

from .conftest import write_images

pytestmark = pytest.mark.timeout(60)
NOT_YET = "No service has said yet that it took it"
BLIND = {"identify_by_class": {"lymphocyte": 1.0}}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    folder = tmp_path_factory.mktemp("which")
    return {name: write_tiny_bundle(folder / name, thresholds=more) for name, more in (("first", {}), ("blind", BLIND))}


@dataclass
class Bench:
    """A configuration that names `first`, and what was ordered beside its journal."""

    folder: Path
    bundles: dict[str, Bundle]

    @property
    def config(self) -> Path:
        return self.folder / "edge.toml"

    def write(self, bundle: str = "first") -> None:
        lines = {"source": f"folder:{self.folder / 'images'}", "um_per_px": 0.13, "journal": str(self.folder / "j.sqlite")}
        lines |= {"bundle": str(self.bundles[bundle].path), "threads": 1}
        self.config.write_text("".join(f"{name} = {value!r}\n" for name, value in lines.items()))

    def order(self, now: str, before: str, answer: str | None) -> None:
        """`answer` is what a service said: "" that it took it, else why not."""
        named = {name: NamedBundle.of(bundle) for name, bundle in self.bundles.items()}
        switch = Switch(order_id="1", now=named[now], before=named[before], configured=named["first"], wall_time="T")
        (self.folder / "j.sqlite.bundle.json").write_text(switch.model_dump_json())
        if answer is not None:
            serves = named[before if answer else now]
            said = Answer(order_id="1", serves=serves, refused=answer, wall_time="T")
            (self.folder / "j.sqlite.serves.json").write_text(said.model_dump_json())

    def call(self, *words: str) -> Result:
        return CliRunner().invoke(app, [*words], env={"COLUMNS": "200"})

    def row(self) -> dict[str, Any]:
        done = self.call("config", "show", "--config", str(self.config), "--json")
        assert done.exit_code == 0, done.output
        (row,) = (each for each in json.loads(done.stdout) if each["setting"] == "bundle")
        return row  # type: ignore[no-any-return] # JSON


@pytest.fixture
def bench(tmp_path: Path, bundles: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch) -> Bench:
    write_images(tmp_path / "images", 1)
    here = look_at_machine()
    monkeypatch.setattr(diagnosis_text, "look_at_machine", lambda *, everything: here)  # a look takes a second
    found = Bench(tmp_path, dict(bundles))
    found.write()
    return found


def _nothing(bench: Bench) -> None:
    pass


def _taken(bench: Bench) -> None:
    bench.order("blind", "first", "")


def _ordered(bench: Bench) -> None:
    bench.order("blind", "first", None)


def _refused(bench: Bench) -> None:
    bench.order("blind", "first", "no room for it.")


def _back(bench: Bench) -> None:
    bench.order("first", "blind", "")


def _damaged(bench: Bench) -> None:
    bench.bundles["blind"] = copied = write_tiny_bundle(bench.folder / "copy", thresholds=BLIND)
    bench.order("blind", "first", "")
    (copied.path / "model.onnx").write_bytes(b"x")


def _configured_anew(bench: Bench) -> None:
    bench.bundles["third"] = write_tiny_bundle(bench.folder / "third", thresholds={"margin": 0.12})
    bench.order("blind", "first", "")
    bench.write("third")


def _unreadable(bench: Bench) -> None:
    (bench.folder / "j.sqlite.bundle.json").write_text("{")


@pytest.mark.parametrize(
    ("prepare", "serves", "origin", "says"),
    [
        pytest.param(_nothing, "first", "file", [], id="nothing was rolled out"),
        pytest.param(_taken, "blind", "rollout", ["was rolled out at T", "in the place of", "--back"], id="rolled out"),
        pytest.param(
            _ordered, "blind", "rollout", ["was rolled out at T", NOT_YET], id="ordered, and no service has been asked"
        ),
        pytest.param(
            _refused, "first", "file", ["was rolled out and cannot serve: no room for it."], id="the service could not"
        ),
        pytest.param(_damaged, "first", "file", ["was rolled out and cannot serve", "is damaged"], id="damaged since"),
        pytest.param(_back, "first", "file", ["was ordered back at T"], id="and back"),
        pytest.param(_configured_anew, "third", "file", ["names another bundle than when"], id="the configuration was changed"),
        pytest.param(
            _unreadable, "first", "file", ["Meanwhile the configuration's bundle serves."], id="a switch that is none"
        ),
    ],
)
def test_every_command_says_the_same(
    bench: Bench, prepare: Callable[[Bench], None], serves: str, origin: str, says: list[str]
) -> None:
    prepare(bench)
    place = str(bench.bundles[serves].path)
    row = bench.row()
    assert (row["value"], row["from"]) == (place, origin)
    assert all(words in row.get("why", "") for words in says) and bool(says) == ("why" in row)
    assert ("No service" in row.get("why", "")) == (NOT_YET in says)
    shown = bench.call("config", "show", "--config", str(bench.config))
    assert all(words in shown.stdout for words in says)
    checked = bench.call("config", "check", str(bench.config))
    assert checked.exit_code == 0 and all(words in checked.stdout for words in says)
    found = json.loads(bench.call("doctor", "--config", str(bench.config), "--json").stdout)
    assert found["bundle"]["path"] == place and all(words in (found["serves"] or "") for words in says)
    now = as_set_now({}, bench.config, {})
    assert now.setup is not None and str(now.setup.bundle.path) == place


@pytest.mark.parametrize(
    ("prepare", "serves"), [(_nothing, "first"), (_taken, "blind"), (_refused, "blind"), (_damaged, "first")]
)
def test_a_run_has_the_bundle_that_serves_and_says_so(
    bench: Bench,
    prepare: Callable[[Bench], None],
    serves: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that a service has refused is tried: what was missing may be there by now."""
    prepare(bench)
    opened: list[Setup] = []

    def performed(setup: Setup, *_: object) -> RunOutcome:
        opened.append(setup)
        return RunOutcome.COMPLETED

    monkeypatch.setattr(serve, "serve_one_run", performed)
    done = bench.call("run", "--config", str(bench.config))
    assert done.exit_code == 0, done.output
    assert [setup.bundle.path for setup in opened] == [bench.bundles[serves].path]
    assert ("was rolled out" in done.stderr + caplog.text) == (prepare is not _nothing)


def test_a_run_passes_over_what_its_engine_refuses_as_a_service_does(bench: Bench) -> None:
    _taken(bench)
    told: list[Setup] = []

    @contextmanager
    def opened(setup: Setup) -> Iterator[Parts]:
        if setup.bundle.path.name == "blind":
            raise EngineError("no room for it.")
        yield None  # type: ignore[misc] # nobody looks at it

    with opened_as_ordered(Stated({}, bench.config, {}).switch(), told.append, opened) as (setup, _):
        assert setup.bundle.path.name == "first" and any("no room for it." in said for said in setup.warnings)
    assert [each.bundle.path.name for each in told] == ["blind", "first"]
    bench.write("first")
    (bench.folder / "j.sqlite.bundle.json").unlink()

    @contextmanager
    def refusing(setup: Setup) -> Iterator[Parts]:
        raise EngineError("no room for it.")
        yield

    with (
        pytest.raises(EngineError, match="no room"),
        opened_as_ordered(Stated({}, bench.config, {}).switch(), told.append, refusing),
    ):
        raise AssertionError("nothing is open")


def test_doctor_of_another_bundle_says_that_it_does_not_serve(bench: Bench) -> None:
    _taken(bench)
    other, words = bench.bundles["first"].path, ("--config", str(bench.config), "--json")
    found = json.loads(bench.call("doctor", str(other), *words).stdout)
    assert found["bundle"]["bundle_id"] == load_bundle(other).bundle_id
    assert found["serves"].startswith("not this one, which was asked about: bundle")
    assert "not this one" not in json.loads(bench.call("doctor", str(bench.bundles["blind"].path), *words).stdout)["serves"]
