"""One recipe per dataset: where its rows come from, and what its columns mean."""
