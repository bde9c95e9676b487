"""Where each value comes from: the environment among the layers, and what is said of all of them."""

from pathlib import Path

import pytest

from edge.contracts.errors import ConfigError
from edge.settings import EdgeSettings, Setup
from edge.settings.edge_settings import NAMED, PARTED
from edge.settings.environment import from_environment
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(20)


def came_from(setup: Setup, path: str) -> tuple[str, str]:
    found = setup.origins[path]
    return found.kind, found.place


def test_each_layer_is_named(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(
        'source = "a"\nbind = "tcp://127.0.0.1:1"\nmax_batch = 2\nthresholds.detect = 0.31\nthresholds.margin = 0.2\n'
    )
    environment = {
        "LEUKO_EDGE_MAX_BATCH": "3",
        "LEUKO_EDGE_THRESHOLDS__MARGIN": "0.3",
        "LEUKO_EDGE_SOURCE": "b",
        "PATH": "/bin",
    }
    setup = resolve({"source": "c", "thresholds": {"identify": 0.6}}, file, environment)
    settings = setup.settings
    assert (settings.source, settings.bind, settings.max_batch) == ("c", "tcp://127.0.0.1:1", 3)
    assert settings.thresholds is not None
    assert (settings.thresholds.detect, settings.thresholds.margin, settings.thresholds.identify) == (0.31, 0.3, 0.6)
    assert came_from(setup, "source") == ("option", "")
    assert came_from(setup, "bind") == ("file", str(file))
    assert came_from(setup, "max_batch") == ("environment", "LEUKO_EDGE_MAX_BATCH")
    assert came_from(setup, "thresholds.detect") == ("file", str(file))
    assert came_from(setup, "thresholds.margin") == ("environment", "LEUKO_EDGE_THRESHOLDS__MARGIN")
    assert came_from(setup, "thresholds.identify") == ("option", "")
    assert came_from(setup, "thresholds.nms_iou")[0] == "bundle"
    assert "queue_fields" not in setup.origins


def test_without_an_environment_none_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEUKO_EDGE_MAX_BATCH", "3")
    assert resolve({"source": "a"}).settings.max_batch == 1


def test_text_becomes_what_the_setting_is() -> None:
    stated = {"source": "a", "max_batch": "4", "um_per_px": "0.13", "allow_ungated_engine": "true", "journal": "memory"}
    settings = resolve({}, None, {f"LEUKO_EDGE_{name.upper()}": text for name, text in stated.items()}).settings
    assert (settings.max_batch, settings.um_per_px, settings.allow_ungated_engine) == (4, 0.13, True)
    assert settings.journal == Path("memory")


@pytest.mark.parametrize("name", EdgeSettings.model_fields)
def test_every_setting_has_its_variable(name: str) -> None:
    variable = f"LEUKO_EDGE_{name.upper()}"
    if name in PARTED:
        variable += f"__{next(iter(PARTED[name].model_fields)).upper()}"
    if name in NAMED:
        variable += "__A_NAME"
    assert name in from_environment({variable: "x"})


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        pytest.param({"LEUKO_EDGE_MAX_BACH": "2"}, ["`LEUKO_EDGE_MAX_BACH`", "mean `LEUKO_EDGE_MAX_BATCH`?"], id="a slip"),
        pytest.param({"LEUKO_EDGE_THRESHOLDS__DETCT": "1"}, ["mean `LEUKO_EDGE_THRESHOLDS__DETECT`?"], id="a slip in a part"),
        pytest.param({"LEUKO_EDGE_THRESHOLDS": "1"}, ["state its parts, as LEUKO_EDGE_THRESHOLDS__DETECT"], id="no part"),
        pytest.param({"LEUKO_EDGE_PROFILES": "x"}, ["by its name, as LEUKO_EDGE_PROFILES__NAME"], id="no name"),
        pytest.param({"LEUKO_EDGE_PROFILES__": "x"}, ["by its name, as LEUKO_EDGE_PROFILES__NAME"], id="an empty name"),
        pytest.param({"LEUKO_EDGE_BIND__PORT": "1"}, ["write LEUKO_EDGE_BIND"], id="a part of what has none"),
        pytest.param({"LEUKO_EDGE_PROFILE": ""}, ["LEUKO_EDGE_PROFILE", "is empty"], id="a variable that is empty"),
        pytest.param({"LEUKO_EDGE_MAX_BATCH": "two"}, ["environment (LEUKO_EDGE_MAX_BATCH)", "`max_batch`"], id="no number"),
        pytest.param({"LEUKO_EDGE_MAX_BATCH": "0"}, ["the environment (LEUKO_EDGE_MAX_BATCH)"], id="out of range"),
        pytest.param({"LEUKO_EDGE_THRESHOLDS__DETECT": "2"}, ["(LEUKO_EDGE_THRESHOLDS__DETECT)"], id="a part out of range"),
        pytest.param({"LEUKO_EDGE_BUNDLE": "/pr\udce4p"}, ["not UTF-8"], id="bytes that are no text"),
    ],
)
def test_what_the_environment_cannot_say_is_one_sentence(environment: dict[str, str], words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve({"source": "a"}, None, environment)
    assert all(word in str(caught.value) for word in words), caught.value


def test_profiles_have_names_and_each_name_its_origin(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('source = "a"\nprofiles = { low = "low.json", high = "high.json" }\n')
    setup = resolve({}, file, {"LEUKO_EDGE_PROFILES__HIGH": "other.json"})
    assert setup.settings.profiles == {"low": Path("low.json"), "high": Path("other.json")}
    assert came_from(setup, "profiles.low") == ("file", str(file))
    assert came_from(setup, "profiles.high") == ("environment", "LEUKO_EDGE_PROFILES__HIGH")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            '[profiles]\nlow = "low.json"\njournal = "j"', ["`journal`", "move it above the line [profiles]"], id="below"
        ),
        pytest.param('profiles = "low.json"', ["`profiles`", "edge.toml"], id="no names"),
        pytest.param('[profiles]\n"" = "low.json"', ["`profiles", "at least 1 character"], id="an empty name"),
        pytest.param("[profiles]\nlow = 1", ["`profiles.low`"], id="no path"),
        pytest.param('profile = "a"\nprofils = "b"', ["did you mean `profiles`?"], id="a slip"),
    ],
)
def test_what_profiles_cannot_be_is_one_sentence(text: str, words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(f'source = "a"\n{text}\n')
    with pytest.raises(ConfigError) as caught:
        resolve({}, file)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_heading_without_a_profile_states_nothing(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('source = "a"\n[profiles]\n')
    assert resolve({}, file).settings.profiles is None
