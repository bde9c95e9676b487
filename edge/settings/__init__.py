"""What an edge process can be told: its settings, where each comes from, and the options that are made from them."""

from edge.settings.edge_settings import DEFAULT_JOURNAL, IN_MEMORY, SHIPPED_BUNDLE, EdgeSettings, Setup

__all__ = ["DEFAULT_JOURNAL", "IN_MEMORY", "SHIPPED_BUNDLE", "EdgeSettings", "Setup"]
