"""A voice customer service: speech or text in, an answer out of the shop's own pages."""
