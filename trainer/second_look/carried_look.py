"""A second look on its way between a bundle's graph, a checkpoint and an engine: exactly the same network everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from edge.contracts.bundle import Bundle, SecondLook
from edge.contracts.errors import DataError
from trainer.export.graph import FrameGraph
from trainer.models.detector import Detector
from trainer.second_look.look_network import N_OUTPUTS, LookNetwork
from trainer.second_look.looking_graph import LookingGraph

PREFIX, HALF = "look.", "_fp16"
"""How `LookingGraph` names the second look's weights, and those stored in half precision."""

TYPES = "types.weight"
"""The matrix with one row an output: how many there are says it, and nothing else."""


@dataclass(frozen=True, slots=True)
class Look:
    """The network and what the graph does with it."""

    network: LookNetwork
    settings: SecondLook

    def as_kept(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"settings": self.settings.model_dump(mode="json"), "weights": self.network.state_dict()}

    @classmethod
    def of_kept(cls, content: Mapping[str, Any]) -> "Look | None":
        """What `as_kept` gave; None of nothing."""
        if not content:
            return None
        network = LookNetwork(outputs=len(content["weights"][TYPES]))
        network.load_state_dict(content["weights"])
        return cls(network.eval(), SecondLook.model_validate(content["settings"]))

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> "Look | None":
        """That of a bundle's graph; None where it is the detector alone.

        Raises `DataError` when the graph does not hold the weights that its manifest speaks of.
        """
        settings = bundle.manifest.second_look
        return None if settings is None else cls(_network_of(bundle), settings)


def graph_with(detector: Detector, top_k: int, look: Look | None) -> FrameGraph:
    """The graph of a detector, alone or with a second look."""
    return FrameGraph(detector, top_k) if look is None else LookingGraph(detector, top_k, look.network, look.settings)


def _network_of(bundle: Bundle) -> LookNetwork:
    graph = onnx.load_from_string(bundle.read_model()).graph
    stored = {t.name.removeprefix(PREFIX).removesuffix(HALF): t for t in graph.initializer if t.name.startswith(PREFIX)}
    outputs = stored[TYPES].dims[0] if TYPES in stored else N_OUTPUTS
    network = LookNetwork(outputs=outputs)
    wanted = network.state_dict()
    # The exporter leaves out a bias of nothing but zeros.
    values = {name: torch.zeros_like(value) for name, value in wanted.items() if name.endswith("bias")}
    values |= {name: torch.from_numpy(numpy_helper.to_array(t).astype(np.float32)) for name, t in stored.items()}
    wrong = sorted(name for name in wanted.keys() | values.keys() if name not in wanted or name not in values)
    wrong += [name for name in wanted if name in values and wanted[name].shape != values[name].shape]
    if wrong:
        raise DataError(
            f"the graph of bundle {bundle.path} does not hold the second look that its manifest speaks of: {len(wrong)} "
            f"weights are missing, unknown or of another shape, first `{wrong[0]}`; train one with `leuko-train second-look`."
        )
    network.load_state_dict(values)
    return network.eval()
