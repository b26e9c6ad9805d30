"""Text generation: directories as the builder of onnxruntime-genai writes them, batched continuously."""
