"""What a person sees and does beside a run: watch it, look into a journal, see a demonstration, keep a camera's frames."""
