"""Where models live: layout, model.yaml, versions."""
