"""Where records have their place before they are sent."""
