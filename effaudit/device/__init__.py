"""Devices: YAML profiles in which every number has a unit, a source and a status.

`read` makes a `Device` of a file (`facts` completes its numbers, `merge` joins it with what it extends, `validate`
holds it against itself), `find` finds it by name.
"""
