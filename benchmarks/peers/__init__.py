"""Other model servers under the same contract: ``POST /predict``, JSON or npy in, JSON out."""
