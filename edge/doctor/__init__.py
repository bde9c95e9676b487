"""What is diagnosed: what is installed, which engines fit, what a run would open, and what a camera can do."""
