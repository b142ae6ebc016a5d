"""Run directories: identity, atomic commits, resume, and many runs as frames."""
