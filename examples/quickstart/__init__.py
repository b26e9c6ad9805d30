"""The models that ``make serve`` builds from real data and serves."""
