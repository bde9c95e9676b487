"""What lies between scanner and edge is broken at random, both are killed at random, and every record is accounted for."""
