"""Order and types: a ``PipelineSpec`` checked into a ``PipelinePlan``."""
