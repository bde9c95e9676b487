"""One page in a browser that shows how an edge stands and what its runs find: subscribes, reads, and never commands."""
