"""Throughput, latency, memory and start-up of inferd beside its limits and its peers."""
