"""A plan in the forms that firmware takes, one file each."""
