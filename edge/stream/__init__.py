"""The wire: ROUTER/DEALER session, codec, client."""
