"""What watches a run from outside: a progress display, the summary at its end, Weights & Biases."""
