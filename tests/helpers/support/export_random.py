"""Run as a program: bundles of untrained models, several in one process. `export_random.py FOLDER RECIPE...`

A recipe with `LOOK` after its name gets a second look, untrained as well. Prints each name when its bundle lies in FOLDER/NAME.
It imports torch, which a test process beside the other runtimes must not.
"""

import sys
from pathlib import Path

from edge.contracts.bundle import SecondLook
from trainer.export.export_bundle import export_random
from trainer.recipe import load_recipe
from trainer.second_look.carried_look import Look
from trainer.second_look.look_network import LookNetwork

LOOK = "+look"
SETTINGS = SecondLook(looks=8, crop_side_px=64, crop_um=16.64)

if __name__ == "__main__":
    for name in sys.argv[2:]:
        look = Look(LookNetwork(), SETTINGS) if name.endswith(LOOK) else None
        export_random(load_recipe(name.removesuffix(LOOK)), Path(sys.argv[1]) / name, look)
        print(f"\n{name}", flush=True)
