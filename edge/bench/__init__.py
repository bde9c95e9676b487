"""What is measured: the loop, the way to the controller, a camera through it all, and what each costs beside a named peer."""
