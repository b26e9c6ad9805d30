"""Pipelines: graphs whose steps are servables, here or on other hosts."""
