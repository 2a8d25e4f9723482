"""XGBoost's tracker, which brings the workers together, as a process of the leader's own.

In a process of its own because an error in a worker must not wedge on a tracker thread beside it. It is started early, and listens only
once it reads who the members are, when all of them are ready: strangers hardly find a port that is open for a second. It prints its port,
and leaves when its standard input closes: with its supervisor, however that ends.

The tracker is one object of XGBoost's C API (`xgboost/c_api.h`, "Tracker"). It is called without the Python package, whose
import takes half a second and 80 MB: the gang waits for this process before it can form.
"""

import ctypes
import importlib.util
import json
import os
import sys
import threading
from pathlib import Path

from analysis.admission import admit_only, find_source


class TrackerError(Exception):
    """The library is not there, or refused a call."""


def main(address: str, workers: int) -> None:
    """Serve one gang of `workers` at `address`, with ranks in the order of the task ids."""
    library = _load_library()
    line = sys.stdin.readline()
    if not line:
        return  # the gang did not form
    handle = ctypes.c_void_p()
    options = {
        "dmlc_communicator": "rabit",
        "host": address,
        "port": 0,
        "n_workers": workers,
        "sortby": 1,
        "timeout": 0,
    }
    _call(library, "XGTrackerCreate", json.dumps(options).encode(), ctypes.byref(handle))
    _call(library, "XGTrackerRun", handle, b"{}")
    answer = ctypes.c_char_p()
    _call(library, "XGTrackerWorkerArgs", handle, ctypes.byref(answer))
    port = int(json.loads(answer.value or b"{}")["dmlc_tracker_port"])
    try:
        admit_only(port, {*json.loads(line), find_source(address)})
    except (OSError, ValueError) as refused:
        # Then the security group alone keeps strangers away, as it does from every other port.
        sys.stderr.write(f"the tracker's port is not restricted to the gang's members: {refused}\n")
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    threading.Thread(target=_leave_with_supervisor, daemon=True).start()
    _call(library, "XGTrackerWaitFor", handle, b"{}")


def _load_library() -> ctypes.CDLL:
    package = importlib.util.find_spec("xgboost")
    if package is None or not package.submodule_search_locations:
        raise TrackerError("xgboost is not installed")
    folder = Path(package.submodule_search_locations[0]) / "lib"
    found = sorted(folder.glob("libxgboost.*"))
    if not found:
        raise TrackerError(f"{folder} holds no libxgboost")
    library = ctypes.CDLL(str(found[0]))
    library.XGBGetLastError.restype = ctypes.c_char_p
    return library


def _call(library: ctypes.CDLL, name: str, *arguments: object) -> None:
    if getattr(library, name)(*arguments):
        raise TrackerError(f"{name}: {library.XGBGetLastError().decode()}")


def _leave_with_supervisor() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
