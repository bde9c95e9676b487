"""Cameras of any maker through its GenTL producer, by harvesters and genicam: an extra, loaded for such a camera only."""
