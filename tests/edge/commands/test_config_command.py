"""`leuko-edge config`: the file it writes is read, what is wrong with one is all said, and every value names its origin."""

import json
import re
from pathlib import Path

import pytest
from support.made_profiles import pixel_size, stage
from support.signed import some_profile
from typer.testing import CliRunner, Result

from edge.command_list import app
from edge.contracts.errors import ConfigError
from edge.contracts.profile import CameraGeometry, Profile, write_profile
from edge.settings import EdgeSettings
from edge.settings.config_file import read_config
from edge.settings.edge_settings import PARTED
from edge.settings.resolution import resolve

pytestmark = pytest.mark.timeout(30)


def config(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["config", *map(str, words)], env={"COLUMNS": "200"})


def test_a_new_file_has_what_was_given_in_effect_and_shows_the_rest(tmp_path: Path) -> None:
    out = tmp_path / "edge.toml"
    done = config("init", "--source", "virtual:seed=1", "--detect", "0.4", "--journal", "/var/j.sqlite", "--out", out)
    assert done.exit_code == 0, done.output
    assert read_config(out) == {"source": "virtual:seed=1", "journal": "/var/j.sqlite", "thresholds": {"detect": 0.4}}
    text = out.read_text()
    assert all(re.search(rf"^(# )?{name} = ", text, re.MULTILINE) for name in EdgeSettings.model_fields if name not in PARTED)
    assert all(len(line) <= 128 for line in text.splitlines())


def test_every_line_is_whole_and_shows_the_default_once_its_mark_is_taken_away(tmp_path: Path) -> None:
    out = tmp_path / "edge.toml"
    config("init", "--out", out)
    out.write_text(re.sub(r"^# (\w+ = )", r"\1", out.read_text(), flags=re.MULTILINE))
    stated = read_config(out)
    assert stated.keys() == EdgeSettings.model_fields.keys()
    settings = EdgeSettings.model_validate(stated)
    unchanged = {name for name, field in EdgeSettings.model_fields.items() if getattr(settings, name) == field.get_default()}
    shown_by_example = {name for name, field in EdgeSettings.model_fields.items() if field.get_default() is None}
    assert unchanged | shown_by_example | {"source", "bundle", "journal"} == set(EdgeSettings.model_fields)


def test_a_yaml_file_becomes_a_toml_one(tmp_path: Path) -> None:
    old, new = tmp_path / "edge.yaml", tmp_path / "edge.toml"
    old.write_text("source: virtual:seed=1\nmax_batch: 2\nthresholds: {detect: 0.4, identify_by_class: {blast: 0.7}}\n")
    assert config("init", "--config", old, "--identify", "0.6", "--out", new).exit_code == 0
    assert read_config(new) == {
        "source": "virtual:seed=1",
        "max_batch": 2,
        "thresholds": {"detect": 0.4, "identify": 0.6, "identify_by_class": {"blast": 0.7}},
    }
    assert resolve({}, new).settings == resolve({"thresholds": {"identify": 0.6}}, old).settings


@pytest.mark.parametrize(
    ("out", "words"),
    [("there.toml", "is there already"), ("new.yaml", "name that ends in .toml"), ("none/edge.toml", "cannot be written")],
)
def test_a_file_that_cannot_be_written_is_said(out: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "there.toml").write_text("x")
    done = config("init", "--out", tmp_path / out)
    assert isinstance(done.exception, ConfigError) and words in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["there.toml"] and (tmp_path / "there.toml").read_text() == "x"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param('source = "virtual:seed=1"\nmax_bach = 2', ["did you mean `max_batch`?"], id="a slip"),
        pytest.param("max_batch = 2", ["no source is set"], id="no source"),
        pytest.param("bnd = 1\nmax_batch = 0\npolicy = 'x'", ["`bind`", "`max_batch`", "`policy`"], id="slip and values"),
        pytest.param('source = "opencv:0"', ["`um_per_px` is not set"], id="no scale"),
        pytest.param('source = "cam:0"', ["unknown scheme 'cam'"], id="no such source"),
        pytest.param('source = "virtual:seed=1"\nbind = "tcp://0.0.0.0:1"', ["without keys anybody could"], id="open to all"),
        pytest.param(
            'source = "cam:0"\nbind = "tcp://0.0.0.0:99999"\nmetrics = "0.0.0.0:1"\njournal = "/etc/hostname/j"'
            '\nlog_file = "/none/l"',
            ["'cam'", "99999", "0.0.0.0:1", "`journal`", "`log_file`"],
            id="everything at once",
        ),
        pytest.param('source = "virtual:seed=1"\nkeys = "/none"', ["/none"], id="keys that are not there"),
        pytest.param('source = "virtual:seed=1"\nkeep_crops = "/"', ["`keep_crops`", "already"], id="a folder that is there"),
        pytest.param('source = "virtual:seed=1"\nbundle = "/none"', ["/none is not a bundle"], id="no bundle"),
    ],
)
def test_all_that_is_wrong_is_said(content: str, words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(content)
    done = config("check", file, "--json")
    assert isinstance(done.exception, ConfigError), done.output
    found = json.loads(done.stdout)
    assert found["would_run"] is False
    assert all(any(word in problem for problem in found["problems"]) for word in words), found
    assert len(found["problems"]) == len(words) if "cam:0" in content and len(words) > 1 else True


def test_a_good_file_passes_with_what_an_operator_should_know(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(f'source = "virtual:seed=1"\njournal = "memory"\nlog_file = "{tmp_path}/edge.log"\n')
    done = config("check", file)
    assert done.exit_code == 0, done.output
    assert "warning  `journal` is memory" in done.stdout and "can be used" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["edge.toml"], "nothing was made"


def test_show_names_value_and_origin_and_hides_secrets(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('source = "opencv:rtsp://admin:hunter2@10.0.0.5/stream?token=abc"\num_per_px = 0.13\n')
    command = ["config", "show", "--config", str(file), "--max-batch", "2", "--json"]
    done = CliRunner().invoke(app, command, env={"LEUKO_EDGE_BIND": "tcp://127.0.0.1:7"})
    assert done.exit_code == 0, done.output
    rows = {row["setting"]: (row["value"], row["from"]) for row in json.loads(done.stdout)}
    assert rows["source"] == ("opencv:rtsp://(not shown)@10.0.0.5/stream?token=(not shown)", "file")
    assert rows["max_batch"] == (2, "option") and rows["bind"] == ("tcp://127.0.0.1:7", "environment")
    assert rows["queue_fields"] == (4, "default") and rows["thresholds.detect"][1] == "bundle"
    assert {name.partition(".")[0] for name in rows} == set(EdgeSettings.model_fields)
    assert "hunter2" not in config("show", "--config", file).stdout


def test_show_needs_no_source() -> None:
    done = config("show")
    assert done.exit_code == 0 and "it must be set" in done.stdout


def test_profiles_that_runs_may_name_are_looked_through_and_shown(tmp_path: Path) -> None:
    file, good, old = tmp_path / "edge.toml", some_profile(tmp_path / "good.json"), tmp_path / "old.json"
    camera = CameraGeometry(width_px=732, height_px=574)
    write_profile(old, Profile(instrument="b", camera=camera, pixel_size=pixel_size(), stage=stage(days=-1)))
    head = 'source = "virtual:seed=1"\njournal = "memory"\n[profiles]\n'
    file.write_text(f'{head}good = "{good}"\nold = "{old}"\n')
    done = config("check", file)
    assert done.exit_code == 0, done.output
    assert "warning  profile 'old': the stage of profile" in done.stdout
    rows = {row["setting"]: row["value"] for row in json.loads(config("show", "--config", file, "--json").stdout)}
    assert (rows["profiles.good"], rows["profiles.old"]) == (str(good), str(old))
    file.write_text(f'{head}good = "{good}"\ngone = "{tmp_path}/gone.json"\n')
    done = config("check", file)
    assert isinstance(done.exception, ConfigError)
    assert "error  no run can have profile 'gone': profile" in done.stdout and "'good'" not in done.stdout
