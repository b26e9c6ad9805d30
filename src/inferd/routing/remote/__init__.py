"""A model that another server serves: replicas, balancing, retries; it speaks the Open Inference Protocol."""
