"""Cameras that expose one frame at a time, whatever driver speaks to them: one source, one watchdog, one account of losses."""
