"""The study of the instrument: how small a difference it sees, and how often it is wrong."""
