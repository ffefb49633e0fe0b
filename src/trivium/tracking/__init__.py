"""Runs, curves, pictures and artifacts of the experiments: the only place that knows MLflow."""
