"""The process: opens what a run needs, waits for an order, performs the run, stays until the controller holds it."""
