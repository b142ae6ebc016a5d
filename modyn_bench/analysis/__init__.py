"""Statistics and figures over finished runs: frames in, axes out."""
