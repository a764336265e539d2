"""The coupling rules, one file per family of operators, found by walking this folder."""
