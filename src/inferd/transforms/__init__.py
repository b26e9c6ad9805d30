"""Named pre- and post-processing steps: pure functions of tensors."""
