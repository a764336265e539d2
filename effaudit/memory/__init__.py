"""The document of `effaudit memory`: what a model needs while it runs, under one runtime, planned and named."""
