"""Which samples to train on, chosen before any model is asked: one policy per file."""
