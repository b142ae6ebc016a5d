"""How far a difference between pipelines reaches: to other test samples, to another seed, or to other periods."""
