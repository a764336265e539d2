"""Operators that users define: strict YAML, formulas, definitions, rules of installed packages."""
