"""Bytes to requests and back, one module per dialect; pure, no I/O."""
