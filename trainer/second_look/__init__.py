"""The second look: a small network on a crop of each cell that the detector found. Of which type is it, and is it one?"""
