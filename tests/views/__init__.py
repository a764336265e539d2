"""Views, judged by hand calculation, brute force and published figures."""
