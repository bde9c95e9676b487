"""What an edge shows of itself while it works: live counts for dashboards, and metrics for Prometheus. Never for counting."""
