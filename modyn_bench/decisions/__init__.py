"""From a score to whether to fire: one rule per file, used by drift, performance and cost policies alike."""
