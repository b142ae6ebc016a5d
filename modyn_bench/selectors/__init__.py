"""Which samples to train on: one policy per file."""
