"""The doors of the data plane over gRPC: the same core, permissions and errors as over HTTP."""
