"""One request through the graph of a ``PipelinePlan``."""
