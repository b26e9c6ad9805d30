"""The words of the house: tensors, signatures, messages, errors and the two seams."""
