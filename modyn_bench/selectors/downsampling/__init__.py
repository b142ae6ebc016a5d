"""Which samples to train on, chosen while the model is trained: one policy per file."""
