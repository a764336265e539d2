"""Views: one question about an audited model per file, each a pure function of `Audited`."""
