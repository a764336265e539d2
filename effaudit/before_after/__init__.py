"""The document of `effaudit whatif`: a model as given, and after each what-if, every figure side by side.

`asked` is what the user wants, `device` judges one model on one device, `model` makes the document.
"""
