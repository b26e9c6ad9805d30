"""What the examples share: files out of packages, prepared results that are kept, and progress."""
