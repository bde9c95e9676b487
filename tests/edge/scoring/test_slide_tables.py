"""What a table of slides may look like, what of it is one slide's failure and what the table's; names of files; shards."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.contracts.errors import ConfigError
from edge.scoring.score_place import file_name
from edge.scoring.slide_list import SlideEntry, list_slides, of_shard, shard_of

OUT = Path("/nowhere/out")


def entry(slide_id: str, location: str, um_per_px: float | None = None, problem: str = "") -> SlideEntry:
    return SlideEntry(slide_id, location, f"here/{location}", um_per_px, None, problem)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        pytest.param("slide_id,location\na,one\nb,two\n", [entry("a", "one"), entry("b", "two")], id="what is needed"),
        pytest.param("location,um_per_px,slide_id\none,0.13,a\n", [entry("a", "one", 0.13)], id="another order"),
        pytest.param("slide_id;location;um_per_px\na;one;0,13\n", [entry("a", "one", 0.13)], id="semicolons, decimal comma"),
        pytest.param("slide_id\tlocation\na\tone, two\n", [entry("a", "one, two")], id="tabs"),
        pytest.param("\ufeffslide_id,location\r\na,one\r\n\r\n", [entry("a", "one")], id="as a spreadsheet saves it"),
        pytest.param('slide_id,location\n"a, b",one\n', [entry("a, b", "one")], id="a separator in a name"),
        pytest.param("slide_id,location,um_per_px\n007,one,\n", [entry("007", "one")], id="a number as a name"),
        pytest.param("slide_id,location,um_per_px\na,one, 0.13 \n", [entry("a", "one", 0.13)], id="blanks"),
        pytest.param(
            "slide_id,location,um_per_px\na,one,nought\n",
            [entry("a", "one", None, "the table's um_per_px 'nought' is no number; write for example 0.13.")],
            id="no number",
        ),
        pytest.param(
            "slide_id,location,um_per_px\na,one,130\n",
            [entry("a", "one", None, "the table's um_per_px 130 is out of range; a microscope camera has between 0 and 10.")],
            id="out of range",
        ),
    ],
)
def test_a_table_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, entries: list[SlideEntry]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    Path("here/t.csv").write_text(text, encoding="utf-8", newline="")
    assert list_slides(Path("here/t.csv"), OUT).entries == entries


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "has no column slide_id", id="empty"),
        pytest.param("slide_id,location\n", "has no slides", id="a header alone"),
        pytest.param("slide_id,place\na,b\n", "has no column location", id="a column that is missing"),
        pytest.param("slide_id,location,um/px\na,b,1\n", "'um/px'; did you mean `um_per_px`?", id="a slip"),
        pytest.param("Slide ID,location\na,b\n", "'Slide ID'; did you mean `slide_id`?", id="another slip"),
        pytest.param("slide_id,location,location\na,b,c\n", "the column 'location' twice", id="a column twice"),
        pytest.param("slide_id,location\na,b\na,c\n", "slide 'a' is in", id="a slide twice"),
        pytest.param("slide_id,location\na,b\n,c\n", "no slide_id in line 3", id="a slide without a name"),
        pytest.param("slide_id,location\na,b,c\n", "3 values in line 2 and 2 columns", id="a line too long"),
        pytest.param('slide_id,location\na,"b\n', "cannot be read in line 2", id="a quote that never ends"),
        pytest.param(b"slide_id,location\n\xe4,b\n", "is not UTF-8 at byte 18", id="another encoding"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path: Path, text: str | bytes, says: str) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as refused:
        list_slides(table, OUT)
    assert says in str(refused.value)


def test_columns_that_are_not_used_are_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("slide_id,location,patient,stained_on\na,b,c,d\n")
    assert list_slides(tmp_path / "t.csv", OUT).notes == (
        f"columns of {tmp_path / 't.csv'} that are not used: patient, stained_on.",
    )


def test_a_table_of_parquet_says_the_same_as_one_of_text(tmp_path: Path) -> None:
    columns = {"slide_id": [17.0, 18.0], "location": ["one", None], "um_per_px": [0.13, float("nan")], "patient": [1, 2]}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = list_slides(tmp_path / "t.parquet", OUT)
    assert [(one.slide_id, one.location, one.um_per_px, bool(one.problem)) for one in found.entries] == [
        ("17", "one", 0.13, False),
        ("18", "", None, True),
    ]
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match="no Parquet file that can be read"):
        list_slides(tmp_path / "t.parquet", OUT)


def test_places_are_seen_from_the_table_and_sources_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('slide_id,location\na,one\nb,/two\nc,recording:three\nd,"virtual:seed=1,fields=2"\n')
    opened = [one.opened for one in list_slides(tmp_path / "t.csv", OUT).entries]
    assert opened == [str(tmp_path / "one"), "/two", "recording:three", "virtual:seed=1,fields=2"]


def test_folders_are_slides_in_the_order_of_people(tmp_path: Path) -> None:
    for name in ("s10", "s9", ".snapshot", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "s1.png").touch()
    found = list_slides(tmp_path, OUT)
    assert [one.slide_id for one in found.entries] == ["b", "s9", "s10"] and len(found.notes) == 1


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=90)


@settings(max_examples=60)
@given(NAMES, NAMES)
def test_no_two_slides_share_a_file_and_every_reader_sees_it(one: str, other: str) -> None:
    names = {file_name(one), file_name(other)}
    assert len(names) == len({one, other})
    for name in names:
        assert len(name) <= 255 and "/" not in name and "\0" not in name and name[0] not in "._"


@given(st.integers(0, 60), st.integers(1, 70))
def test_each_slide_falls_to_exactly_one_shard(slides: int, shards: int) -> None:
    entries = [SlideEntry(str(number), "", "") for number in range(slides)]
    parts = [of_shard(entries, index, shards) for index in range(shards)]
    assert sorted((one for part in parts for one in part), key=entries.index) == entries
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["", "0", "0/0", "8/8", "-1/8", "1/8/2", "a/b", "1.0/8"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    assert shard_of(" 7 / 8 ") == (7, 8)
    with pytest.raises(ConfigError, match="names no shard"):
        shard_of(text)
