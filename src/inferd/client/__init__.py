"""The Python client: ``inferd.Client`` and ``inferd.AsyncClient`` over the Open Inference Protocol."""
