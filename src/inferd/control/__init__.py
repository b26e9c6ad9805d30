"""The hand that changes the path: loading, states, checks."""
