"""Frame sources behind one interface, and the fit of a frame to a bundle's scale."""
