"""What YAML keeps to itself, said: a key that is given twice, and values that cannot be read."""

from pathlib import Path

import pytest

from edge.contracts.base import parse_json
from edge.contracts.bundle import BundleManifest
from edge.contracts.errors import BundleError, ConfigError
from edge.files import parse_yaml
from edge.settings.resolution import resolve


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("a: 1\na: 2", "gives the key `a` in line 1 and again in line 2; strike", id="twice"),
        pytest.param("a: 1\nb: 1\na: 1", "`a` in line 1 and again in line 3", id="twice with the same value"),
        pytest.param("a: 1\n'a': 2", "`a` in line 1 and again in line 2", id="once in quotes"),
        pytest.param("b:\n  - {a: 1,\n     a: 2}", "`a` in line 2 and again in line 3", id="deep inside, in flow style"),
        pytest.param("0x10: 1\n16: 2", "`16` in line 1 and again in line 2", id="one number in two spellings"),
        pytest.param("yes: 1\ntrue: 2", "`true` in line 1 and again", id="one truth value in two spellings"),
        pytest.param("x: &x {a: 1}\ny:\n  <<: *x\n  <<: *x", "`<<` in line 3 and again in line 4", id="two merges"),
        pytest.param("a: [1", "is not valid YAML at line 1", id="not closed"),
        pytest.param("a: 1\n\tb: 2", "is not valid YAML at line 2", id="a tab"),
        pytest.param("a: 2026-02-30", "a value that cannot be read", id="no such day"),
        pytest.param("a: 1\n---\na: 2", "is not valid YAML at line 2", id="two documents"),
        pytest.param("a: *b", "is not valid YAML at line 1 (found undefined alias", id="an alias of nothing"),
        pytest.param("a: !!python/name:os.system", "is not valid YAML at line 1 (could not determine", id="code"),
        pytest.param("[" * 3000, "", id="a nesting without end"),
        pytest.param("a: \x00", "is not valid YAML", id="a character that YAML has not"),
    ],
)
def test_what_is_no_yaml_is_one_sentence_that_names_the_line(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "the file", ConfigError)
    assert str(caught.value).startswith("the file ")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("a: {k: 1}\nb: {k: 2}", {"a": {"k": 1}, "b": {"k": 2}}, id="one key in two mappings"),
        pytest.param("x: &x {a: 1, b: 1}\ny: {<<: *x, a: 2}", {"x": {"a": 1, "b": 1}, "y": {"a": 2, "b": 1}}, id="a merge"),
        pytest.param("1: a\n'1': b", {1: "a", "1": "b"}, id="a number and a word: who needs words says so"),
    ],
)
def test_what_is_yaml_is_read_as_before(text: str, content: object) -> None:
    assert parse_yaml(text, "the file", ConfigError) == content


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param('{"a": 1, "a": 2}', "gives the key `a` twice", id="at the top"),
        pytest.param('{"b": [{"a": 1, "a": 1}]}', "gives the key `a` twice", id="deep inside"),
        pytest.param('{"a": ', "cannot be used: `the document`", id="what is no JSON is said as before"),
        pytest.param("\ufeff{}", "byte order mark", id="saved by an editor that marks UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", "byte order mark", id="the same as bytes"),
    ],
)
def test_nor_may_a_json_file(text: str | bytes, says: str) -> None:
    with pytest.raises(BundleError, match=says):
        parse_json(BundleManifest, text, "bundle.json", BundleError)


def test_nor_may_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "edge.yaml").write_text("source: virtual:seed=1\nslide_id: A-1\nslide_id: B-2\n")
    with pytest.raises(ConfigError, match=r"edge\.yaml gives the key `slide_id` in line 2 and again in line 3"):
        resolve({}, tmp_path / "edge.yaml")
