"""A procedural blood smear with exact ground truth."""
