"""Every kind of picture in a data set is used, or named: never its first page alone, never passed over."""

import io
from pathlib import Path

import pytest
import yaml
from PIL import Image as Pillow
from support.smears import CLASS_MAP, smear

from trainer.data.check.check_data import CheckReport, check_data

pytestmark = pytest.mark.timeout(30)


def saved(kind: str, n_pages: int) -> bytes:
    pages = [Pillow.fromarray(smear(200, 180, ((100, 90, 40),), seed=seed)[..., ::-1].copy()) for seed in range(n_pages)]
    file = io.BytesIO()
    more: dict[str, object] = {"save_all": True, "append_images": pages[1:]} if n_pages > 1 else {}
    pages[0].save(file, kind, **more)  # type: ignore[arg-type]
    return file.getvalue()


def checked(root: Path, name: str, content: bytes) -> CheckReport:
    """A YOLO data set with one image that is as it should be, and the one in question."""
    for folder in ("images", "labels"):
        (root / "set" / folder).mkdir(parents=True)
    (root / "set" / "classes.txt").write_text("WBC\nRBC\n")
    (root / "set" / "images" / "a.png").write_bytes(saved("png", 1))
    (root / "set" / "images" / name).write_bytes(content)
    for stem in ("a", Path(name).stem):
        (root / "set" / "labels" / f"{stem}.txt").write_text("0 0.5 0.5 0.4 0.5\n")
    (root / "map.yaml").write_text(CLASS_MAP)
    row = {"folder": "set", "format": "yolo", "class_map": "map.yaml", "source": "lab", "um_per_px": 0.13}
    sources = {"lab": {"origin": "drawn", "licence": "none"}}
    (root / "data.yaml").write_text(yaml.safe_dump({"datasets": [row], "sources": sources}))
    return check_data(root / "data.yaml", root)[0]


@pytest.mark.parametrize(
    ("name", "kind", "n_pages", "words"),
    [
        pytest.param("b.webp", "webp", 1, "", id="WebP"),
        pytest.param("b.jfif", "jpeg", 1, "", id="JPEG by another name"),
        pytest.param("b.tif", "tiff", 1, "", id="TIFF"),
        pytest.param("b.mpo", "mpo", 1, "", id="MPO of one picture"),
        pytest.param("b.webp", "webp", 3, "animation of 3 pages", id="animated WebP"),
        pytest.param("b.png", "png", 3, "animation of 3 pages", id="animated PNG"),
        pytest.param("b.mpo", "mpo", 2, "holds 2 pages", id="MPO of two pictures"),
        pytest.param("b.jpg", "mpo", 2, "holds 2 pages", id="MPO as cameras name it"),
        pytest.param("b.tif", "tiff", 3, "holds 3 pages", id="TIFF stack"),
        pytest.param("b.gif", "gif", 1, "b.gif has a suffix that is not read", id="GIF"),
        pytest.param("b.gif", "gif", 3, "b.gif has a suffix that is not read", id="animated GIF"),
        pytest.param("b.avif", "avif", 1, "b.avif has a suffix that is not read", id="AVIF"),
        pytest.param("b.avif", "avif", 3, "b.avif has a suffix that is not read", id="animated AVIF"),
        pytest.param("b.jp2", "jpeg2000", 1, "b.jp2 has a suffix that is not read", id="JPEG 2000"),
        pytest.param("b.apng", "png", 2, "b.apng has a suffix that is not read", id="APNG by its name"),
        pytest.param("b.png", "gif", 1, "is no JPEG, PNG", id="GIF that calls itself PNG"),
    ],
)
def test_a_picture_of_any_kind_is_used_or_named(tmp_path: Path, name: str, kind: str, n_pages: int, words: str) -> None:
    report = checked(tmp_path, name, saved(kind, n_pages))
    said = [finding.sentence for finding in report.findings]
    images = report.accounts[0].images
    assert images.found == images.used + sum(images.not_used.values()) == 2
    assert images.used == (1 if words else 2)
    if words:
        assert any(words in sentence for sentence in said), said
