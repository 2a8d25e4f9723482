"""A layer of the small project."""
