"""Naming what is in a picture: ImageNet classification by EfficientNet-lite0."""
