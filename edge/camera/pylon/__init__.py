"""Basler cameras through pypylon, an extra, which is loaded when such a camera is asked for."""
