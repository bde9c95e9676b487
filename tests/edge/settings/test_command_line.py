"""Options are made from the settings: every setting has its one place, and what is stated arrives under its name."""

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from edge.command_list import app
from edge.settings import EdgeSettings
from edge.settings.command_line import REQUIRED, Given, takes

pytestmark = pytest.mark.timeout(20)

FOR_THE_FILE_ALONE = {
    "telemetry_hz",
    "source_timeout_s",
    "ack_timeout_s",
    "keep_frames_mb",
    "profiles",
    "pause_after_records",
    "ping_every_s",
    "silent_after_s",
    "journal_held_s",
    "journal_keep_days",
    "journal_keep_mb",
    "journal_keep_unreported",
    "keep_acknowledged",
    "watchdog_s",
    "log_file_mb",
    "log_files",
}
"""A scanner's engineer sets these once; so are the parts of `thresholds` beside these two."""
PARTS = {"detect": "thresholds", "identify": "thresholds"} | dict.fromkeys(
    ("target_leukocytes", "field_cap", "time_cap_s", "quality", "smudges"), "order"
)
NOT_SETTINGS = {"config"}


def options_of(name: str) -> dict[str, Any]:
    """Options of `leuko-edge NAME` by parameter."""
    whole = typer.main.get_group(app).commands[name].whole
    return {parameter.name: parameter for parameter in whole.params if parameter.param_type_name == "option"}


def test_every_setting_is_an_option_of_run_or_for_the_file_alone() -> None:
    named = options_of("run").keys() - NOT_SETTINGS
    settings = {PARTS.get(name, name) for name in named}
    assert settings.isdisjoint(FOR_THE_FILE_ALONE)
    assert settings | FOR_THE_FILE_ALONE == set(EdgeSettings.model_fields)


@pytest.mark.parametrize(
    ("name", "its_own"),
    [
        ("bench", set()),
        ("soak", {"log_level"}),
        ("record", set()),
        ("demo", set()),
        ("doctor", {"max_batch"}),
    ],
)
def test_a_setting_is_the_same_option_wherever_a_command_takes_it(name: str, its_own: set[str]) -> None:
    run, here = options_of("run"), options_of(name)
    shared = (here.keys() & run.keys()) - its_own - NOT_SETTINGS
    assert shared
    for each in shared:
        assert (here[each].opts, here[each].help) == (run[each].opts, run[each].help)
        assert here[each].rich_help_panel == run[each].rich_help_panel


def given_to(command_line: list[str], *names: str, **defaults: object) -> Given:
    """What a command that takes these settings gets from a command line."""
    got: list[Given] = []

    @takes(EdgeSettings, *names, **defaults)
    def command(given: Given, fields: int = 7) -> None:
        got.append({**given, "fields": fields})

    alone = typer.Typer()
    alone.command()(command)
    done = CliRunner().invoke(alone, command_line)
    assert done.exit_code == 0, done.output
    return got[0]


@pytest.mark.parametrize(
    ("command_line", "given"),
    [
        pytest.param([], {"fields": 7}, id="nothing stated is nothing given"),
        pytest.param(["--max-batch", "2", "--um-per-px", "0.1"], {"fields": 7, "max_batch": 2, "um_per_px": 0.1}, id="numbers"),
        pytest.param(["--allow-ungated-engine"], {"fields": 7, "allow_ungated_engine": True}, id="a flag"),
        pytest.param(["--detect", "0.4"], {"fields": 7, "thresholds": {"detect": 0.4}}, id="a part of a setting"),
        pytest.param(
            ["--identify", "0.6", "--detect", "0.4"],
            {"fields": 7, "thresholds": {"detect": 0.4, "identify": 0.6}},
            id="both parts",
        ),
        pytest.param(["--fields", "3"], {"fields": 3}, id="a parameter of the command itself"),
    ],
)
def test_what_is_stated_arrives_under_the_name_of_its_setting(command_line: list[str], given: Given) -> None:
    assert given_to(command_line) == given


def test_a_command_may_differ_in_a_default_or_need_what_a_run_has_from_a_file() -> None:
    assert given_to([], "source", source="virtual:seed=1") == {"source": "virtual:seed=1", "fields": 7}
    assert given_to(["--source", "x"], "source", source="virtual:seed=1") == {"source": "x", "fields": 7}
    with pytest.raises(AssertionError, match="--source"):
        given_to([], "source", source=REQUIRED)
    with pytest.raises(AssertionError, match="--max-batch"):
        given_to(["--max-batch", "2"], "source")
