"""A model that another server serves: replicas, balancing, retries, and how each protocol is spoken."""
