"""Containers and services: texts made from what is served; nothing here is needed to serve."""
