"""XML comes in the encoding of whoever wrote it."""

from pathlib import Path

import pytest
from support.tool_folders import drawn, read, xml

from edge.contracts.errors import DataError
from trainer.data.annotation import UNTYPED_WBC

pytestmark = pytest.mark.timeout(20)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b'<?xml version="1.0" encoding="gb2312"?>' + xml("a.jpg").encode("gb2312"), "", id="Chinese"),
        pytest.param(b'<?xml version="1.0" encoding="Shift_JIS"?>' + xml("a.jpg").encode("shift_jis"), "", id="Japanese"),
        pytest.param(b'<?xml version="1.0" encoding="cp1252"?>' + xml("a.jpg").encode("cp1252"), "", id="Windows"),
        pytest.param(xml("a.jpg").encode("utf-16"), "", id="UTF-16 with a mark"),
        pytest.param(xml("a.jpg").encode("utf-16-le"), "", id="UTF-16 without one"),
        pytest.param(b'<?xml version="1.0" encoding="utf-16"?>' + xml("a.jpg").encode(), "", id="UTF-16 by mistake"),
        pytest.param(xml("a.jpg").encode("utf-8-sig"), "", id="UTF-8 with a mark"),
        pytest.param(b'<?xml version="1.0" encoding="utf8mb4"?>' + xml("a.jpg").encode(), "", id="an odd name, but ASCII"),
        pytest.param(
            b'<?xml version="1.0" encoding="utf8mb4"?>' + xml("ä.jpg").encode(),
            "the encoding 'utf8mb4', which is not known",
            id="unknown",
        ),
        pytest.param(b'<?xml version="1.0" encoding="hex"?>' + xml("ä.jpg").encode(), "which is not known", id="no encoding"),
        pytest.param(
            b'<?xml version="1.0" encoding="utf-8"?>' + xml("ä.jpg").encode("cp1252"), "which its byte 60 is not", id="another"
        ),
        pytest.param(b"", "is not XML", id="an empty file"),
        pytest.param(b"\0\0\0", "is not XML", id="zeros"),
    ],
)
def test_xml_is_read_in_the_encoding_that_it_has(tmp_path: Path, content: bytes, says: str) -> None:
    drawn(tmp_path, {"a.jpg": "", "a.xml": "x"})
    (tmp_path / "set" / "a.xml").write_bytes(content)
    if not says:
        assert [row.labels.tolist() for row in read(tmp_path, "voc")] == [[UNTYPED_WBC]]
        return
    with pytest.raises(DataError, match=says) as caught:
        read(tmp_path, "voc")
    assert r"a.xml" in str(caught.value)
