"""When a request runs and with whom: queue, batcher, admission, cost curve."""
