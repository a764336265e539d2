"""Bad input, given to the command as a user would give it: one clear line or an honest report, no crash."""
