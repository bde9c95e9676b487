"""What a person sees and does beside a run: watch it, look into a journal, see a demonstration, record a camera's frames."""
