"""Who answers for a model name."""
