"""A report on finished runs: what it compares, its tables, charts and sentences, and how they come to be a page."""
