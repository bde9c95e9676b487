"""Run as a program: bundles of untrained models, several in one process. `export_random.py FOLDER RECIPE...`

Prints each recipe's name when its bundle lies in FOLDER/RECIPE. It imports torch, which a test process beside the other
runtimes must not.
"""

import sys
from pathlib import Path

from trainer.export.export_bundle import export_random
from trainer.recipe import load_recipe

if __name__ == "__main__":
    for name in sys.argv[2:]:
        export_random(load_recipe(name), Path(sys.argv[1]) / name)
        print(f"\n{name}", flush=True)
