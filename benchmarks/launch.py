"""`python -I -S launch.py COMMAND...`: runs it unheard; prints wall s, CPU s, peak bytes and exit code.

A process of its own and as small as can be: the kernel counts a child's peak memory from the moment it is
forked, so no figure can be below the peak of the process that starts it. Hence the three imports and no more.
"""

import os
import sys
import time

quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
start = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(pid, 0)  # the usage of this child alone
wall = time.perf_counter() - start
rss = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(wall, usage.ru_utime + usage.ru_stime, rss, os.waitstatus_to_exitcode(status))
