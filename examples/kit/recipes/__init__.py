"""Shared models: each recipe fills one model directory, out of packages pinned by hash."""
