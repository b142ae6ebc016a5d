"""Evaluation from kept predictions: windows, the evaluation matrix, composite models, costs. No model runs here."""
