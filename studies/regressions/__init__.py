"""How well regressions are found: made, and looked for, from commit to commit."""
