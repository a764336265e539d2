"""What `effaudit fit` and `effaudit report --device` print."""
