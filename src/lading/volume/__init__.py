"""Data that outlives containers: named and anonymous volumes, and what is mounted where."""
