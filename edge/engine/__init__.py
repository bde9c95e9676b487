"""Inference engines behind one interface."""

from edge.engine.base import Engine, EngineChoice, EngineInfo, Precision
from edge.engine.choice import open_engine

__all__ = ["Engine", "EngineChoice", "EngineInfo", "Precision", "open_engine"]
