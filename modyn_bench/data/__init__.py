"""From sources to samples: ingest, the sample store, splits, replay, loading, and one recipe per dataset."""
