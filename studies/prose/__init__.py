"""Our words against the rules of style, in documents, comments, docstrings, messages and templates."""
