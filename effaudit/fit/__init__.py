"""Does a model fit a device? The document of `effaudit fit`: everything estimated, checked and judged.

`asked` is what the user wants, `subject` puts the stages together for one model on one device, `judge` makes a verdict
of what the checks found, `knobs` says what would change it, `described` reports it, `model` makes the document.
"""
