"""Adapters of model frameworks, one module each; imported only in the worker that uses it."""
