"""The only place that runs a model in evaluation mode: views for policies, predictions for the evaluation."""
