"""The only place that trains a model: plan, batches, Lightning, optimisers, schedules, files."""
