"""What a user writes: ``pipeline.yaml`` read into a ``PipelineSpec``."""
