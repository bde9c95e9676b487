"""The published schemas by the strictest rules: no keyword of another vocabulary, ranges that end where 64 bits do."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contracts.messages import TO_EDGE
from edge.published.published_files import schemas
from edge.published.strict_schema import up_to

KEYWORDS = frozenset(
    (
        *(
            "$schema",
            "$id",
            "$ref",
            "$defs",
            "$anchor",
            "$comment",
            "title",
            "description",
            "default",
            "examples",
            "deprecated",
        ),
        *("type", "enum", "const", "properties", "required", "additionalProperties", "propertyNames", "items", "prefixItems"),
        *("anyOf", "oneOf", "allOf", "not", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
    )
)
"""Of JSON Schema 2020-12; a `format` would be one of the vocabulary's own."""
SCHEMAS = schemas()
_INT64 = re.compile(SCHEMAS["to_edge"]["$defs"]["Ping"]["properties"]["t_ns"]["pattern"])


def _parts(schema: object, where: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, list):
        for at, each in enumerate(schema):
            yield from _parts(each, f"{where}/{at}")
    if isinstance(schema, dict):
        yield where, schema
        for key, value in schema.items():
            if key in {"properties", "$defs"}:
                for name, each in value.items():
                    yield from _parts(each, f"{where}/{key}/{name}")
            elif key not in {"default", "const", "enum", "examples"}:
                yield from _parts(value, f"{where}/{key}")


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_schema_holds_only_json_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    for where, part in _parts(SCHEMAS[name]):
        assert part.keys() <= KEYWORDS, where
        if "pattern" in part:
            re.compile(part["pattern"], re.ASCII)
        if "$ref" in part:
            assert part["$ref"].removeprefix("#/$defs/") in SCHEMAS[name]["$defs"], where
        if "required" in part:
            assert set(part["required"]) <= part["properties"].keys(), where
        if "prefixItems" in part:
            assert part["minItems"] == part["maxItems"] == len(part["prefixItems"]), where


@given(st.one_of(st.integers(-(2**63) - 2, -(2**63) + 2), st.integers(2**63 - 3, 2**63 + 3), st.integers(-(10**20), 10**20)))
def test_a_64_bit_integer_fits_its_schema_exactly_when_it_has_64_bits(value: int) -> None:
    assert bool(_INT64.search(str(value))) == (-(2**63) <= value < 2**63)


@given(st.integers(1, 10**6), st.integers(0, 10**7))
def test_up_to_means_up_to(greatest: int, value: int) -> None:
    assert bool(re.fullmatch(up_to(str(greatest)), str(value))) == (value <= greatest)


@pytest.mark.parametrize("text", ["", "-", "+7", "7.0", " 7", "7\n", "0x7", "\u0667", "1e3", "--1", "00000000000000000007"])
def test_what_is_no_64_bit_integer_fits_neither_schema_nor_edge(text: str) -> None:
    message = {"type": "PING", "nonce": text, "t_ns": "1"}
    assert not jsonschema.Draft202012Validator(SCHEMAS["to_edge"]).is_valid(message) or text == "7\n"  # `$` of Python's own
    with pytest.raises(ValueError, match=r"64-bit|digits|nonce"):
        TO_EDGE.validate_json(json.dumps(message))


def test_ajv_in_its_strict_mode_compiles_every_schema(tmp_path: Path) -> None:
    """Where Node and ajv are installed: `npm install -g ajv`."""
    node, found = shutil.which("node"), ""
    if node is not None:
        said = subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=False, timeout=50)
        found = said.stdout.strip()
    if node is None or not (Path(found) / "ajv").is_dir():
        pytest.skip("Node or ajv is not installed")
    (tmp_path / "schemas.json").write_text(json.dumps(SCHEMAS))
    program = (
        f"const Ajv = require({json.dumps(found + '/ajv/dist/2020')}).default; const all = require('./schemas.json');"
        "for (const name in all) new Ajv({strict: true, allErrors: true}).compile(all[name]);"
    )
    done = subprocess.run([node, "-e", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
