"""Real runs, told: statistics of steady runs, kernels mapped back to the nodes they came from, predictions held against
them. `effaudit.run` runs models; here nothing runs."""
