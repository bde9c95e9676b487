"""TensorRT and TensorRT for RTX: the part of their API that the engine uses, how they are loaded, how a plan is run."""
