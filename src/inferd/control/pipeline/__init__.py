"""Loading pipelines: their parts, their own steps, and who answers each step now."""
