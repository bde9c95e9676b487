"""How the int8 child of a bundle is written: what it names, and what its card says."""

import hashlib
from pathlib import Path
from typing import Any

from builder.quantised_graph import QuantisedGraph
from edge.contracts.bundle import CARD, MODEL, Bundle, Quantisation, write_bundle
from edge.contracts.detections import Image


class ChildWriter:
    """Writes children of `parent` whose scales are from `frames` uint8 [N, H, W, 3]; `origin` says where those are from."""

    def __init__(self, parent: Bundle, frames: Image, origin: str) -> None:
        self._parent = parent
        self._images, self._origin = len(frames), origin
        self._images_sha256 = hashlib.sha256(frames.tobytes()).hexdigest()

    def write(self, folder: Path, graph: QuantisedGraph, n_back: int = 0) -> Bundle:
        """Into `folder`, new or empty. `n_back` convolutions went back to floating point for the sake of the count."""
        parent, about = self._parent, self._about(graph, n_back)
        manifest: dict[str, Any] = parent.manifest.model_dump(mode="json", exclude={"files"})
        manifest |= {
            "name": f"{parent.manifest.name}-int8",
            "parent_bundle_id": parent.bundle_id,
            "quantisation": about.model_dump(),
        }
        files = {MODEL: graph.content}
        if CARD in parent.manifest.files:
            files[CARD] = (parent.path / CARD).read_bytes() + self._said(about).encode()
        return write_bundle(folder, manifest, files)

    def _about(self, graph: QuantisedGraph, n_back: int) -> Quantisation:
        return Quantisation(
            parent_bundle_id=self._parent.bundle_id,
            parent_onnx_sha256=self._parent.manifest.files[MODEL],
            method=f"{graph.method}; taken back for the count: {n_back}" if n_back else graph.method,
            images=self._images,
            images_sha256=self._images_sha256,
            images_from=f"{self._images} frames of {self._origin}",
            convolutions=len(graph.int8_convolutions),
            float_convolutions=graph.float_convolutions,
        )

    def _said(self, about: Quantisation) -> str:
        return (
            f"\n## int8\n\nThis bundle is {self._parent.manifest.name} ({about.parent_bundle_id}) in int8: {about.method}.\n"
            "What this card says was measured on that one.\n"
        )
