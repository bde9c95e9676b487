"""How a second look is trained: everything that decides what comes out, as data. It goes into the bundle as it was resolved."""

from pydantic import Field

from edge.contracts.base import Fraction, Strict
from trainer.data.annotation import ClassNames
from trainer.data.compose.augment import AugmentSettings
from trainer.second_look.look_network import N_OUTPUTS, UNKNOWN

WIDER = AugmentSettings(
    aspect=0.0, stain_gain=0.3, stain_mix=0.08, saturation=0.3, depth=0.28, tint=0.14, blur_um=0.55, blur_share=0.5, noise=12.0
)
"""A crop is brought to zero mean and unit deviation, so that wide colours cost it less than they cost the detector."""

RARE = dict.fromkeys(("promyelocyte", "myelocyte", "metamyelocyte", "blast", "lymphocyte_reactive", "smudge", "artefact"), 0.3)


OF_THE_GRAPH = {"looks", "temperature", "presence_share", "type_share", "agreement", "agreement_share", "class_weights"}
"""Keys that say what the graph makes of the network: a training goes on whatever they are."""


class LookRecipe(Strict):
    """One training of a second look. Probabilities are shares of samples."""

    name: str = "second-look"
    seed: int = Field(20190629, ge=0, lt=2**32)
    um_per_px: float = Field(0.26, gt=0, description="scale of a crop: twice the detector's, a mean of four pixels")
    crop_side_px: int = Field(64, ge=32, multiple_of=16)
    steps: int = Field(3000, ge=1)
    batch_size: int = Field(32, ge=4, multiple_of=4)
    peak_learning_rate: float = Field(1.5e-3, gt=0)
    final_fraction: float = Field(0.01, ge=0, le=1)
    warm_up_steps: int = Field(100, ge=0)
    weight_decay: float = Field(0.02, ge=0)
    ema_decay: float = Field(0.995, ge=0, lt=1)
    dropout: float = Field(0.25, ge=0, lt=1)
    mix_share: Fraction = Field(0.25, description="batches of which each sample is blended with another")
    class_power: Fraction = Field(0.5, description="a type is drawn as often as this power of what there is of it")
    no_cell_share: Fraction = Field(0.3, description="samples around places without a cell")
    off_cell_share: Fraction = Field(0.06, description="of the samples around a cell, those beside it")
    anywhere_share: Fraction = Field(0.3, description="of the samples without a cell, those not at a false find")
    strange_share: Fraction = Field(
        0.0, description="samples of altered cells, to which it says that it does not know them: see `strange_crops`"
    )
    leave_out: ClassNames = Field((), description="classes that it is not taught, to see what it then calls them")
    drawn_share: Fraction = Field(0.06, description="samples of drawn fields, all classes alike")
    drawn_fields: int = Field(100, ge=1, description="so many are drawn")
    centre_jitter: float = Field(0.06, ge=0, description="standard deviation, of the cell's longer side")
    scale_min: float = Field(0.8, gt=0)
    scale_max: float = Field(1.25, gt=0)
    augment: AugmentSettings = WIDER
    looks: int = Field(8, ge=1, le=64, description="cells of a frame that are looked at")
    temperature: float = Field(1.0, gt=0)
    presence_share: Fraction = Field(0.9, description="how much its word counts beside the detector's: is it a cell")
    type_share: Fraction = Field(0.65, description="the same: of which type is it")
    agreement: float = Field(
        2.0, ge=0, description="how much it counts that both call a cell alike; what they do not goes to the likeliest alike"
    )
    agreement_share: Fraction = Field(0.35, description="the second look's share in whether they do")
    class_weights: dict[str, float] = Field(
        RARE, description="it is taught all types alike, and these are rare in blood: their probabilities are lowered"
    )
    bfloat16: bool = Field(True, description="compute the convolutions in bfloat16, where the processor has it")

    @property
    def outputs(self) -> int:
        """Of the network: without altered cells it has none that says unknown."""
        return N_OUTPUTS if self.strange_share else UNKNOWN
