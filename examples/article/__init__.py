"""The smallest PyTorch service: three numbers in, one out."""
