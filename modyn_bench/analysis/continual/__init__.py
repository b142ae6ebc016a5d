"""Measures of continual learning, from the evaluation matrix and kept predictions; frames in, frames out."""
