"""When to retrain: one policy per file."""
