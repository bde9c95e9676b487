"""Per-field and running counts, and the differential."""
