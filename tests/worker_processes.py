"""The processes that work for another one, found and looked at by /proc."""

from pathlib import Path


def workers_of(driver: int) -> list[int]:
    """Those that do the jobs of `driver`: the children of its fork server."""
    servers = [one for one in _children(driver) if b"forkserver" in _command(one)]
    return [worker for server in servers for worker in _children(server)]


def running(process: int) -> bool:
    """Whether it is there and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _children(parent: int) -> list[int]:
    threads = Path(f"/proc/{parent}/task").glob("*/children")  # a thread's are listed with it
    return [int(one) for listed in threads for one in listed.read_text().split()]


def _command(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()
