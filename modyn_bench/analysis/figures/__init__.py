"""One figure per file: frames in, axes out, no files read or written."""
