"""The doors: guard, routes and one file per dialect."""
