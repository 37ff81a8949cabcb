"""How much memory this process has taken."""

import resource
from pathlib import Path


def peak_memory_mib() -> int:
    """Largest resident size of this process so far.

    Linux counts the peak of the process that started this one into `ru_maxrss`; its own is in /proc.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        if "VmHWM" in lines:
            return int(lines["VmHWM"].split()[0]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
