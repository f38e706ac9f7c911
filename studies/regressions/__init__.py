"""How well regressions are found: made on purpose, from commit to commit."""
