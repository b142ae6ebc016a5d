"""Distances between two samples: how far the current window is from the reference. They never decide."""
