"""All knowledge of an operator, one file per family, found by walking this folder."""
