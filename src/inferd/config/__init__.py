"""Where settings come from: files with line numbers, environment, flags."""
