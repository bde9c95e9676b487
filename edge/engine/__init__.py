"""Inference engines behind one interface."""

from edge.engine.base import Engine, EngineInfo
from edge.engine.choice import open_engine

__all__ = ["Engine", "EngineInfo", "open_engine"]
