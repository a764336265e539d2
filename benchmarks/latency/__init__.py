"""Published latencies against the estimates of the device profiles, and the fits their numbers come from."""

import os

# The systems solved here are small: threads of BLAS would only wait for each other. An own setting stays.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
