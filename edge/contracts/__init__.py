"""What passes between the rooms, and nothing else. Imports only the standard library, numpy and pydantic."""
