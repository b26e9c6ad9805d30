"""Protocol buffers: message definitions made from tables, and tensors to messages and back."""
