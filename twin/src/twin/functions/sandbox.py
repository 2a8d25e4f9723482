"""The sandbox a function's process finds itself in: its environment variables and what it can import.

Source: "Working with Lambda environment variables", section "Defined runtime environment variables", and "Search paths"
in "Working with layers for Python Lambda functions" (Lambda developer guide).
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from twin import guardian

if TYPE_CHECKING:
    from twin.functions.definition import Definition


def environment(definition: Definition, log_stream: str) -> dict[str, str]:
    """The variables that Lambda itself sets; the function's own, its role's keys and the Runtime API's address follow.

    Where Lambda names a folder of its machine (``/var/task``, ``/opt``), the folder here that stands for it is named.
    """
    task_root, layers_root = definition.task_root, definition.layers_root
    runtime_folder = Path(sysconfig.get_paths()["purelib"])
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    search_path = [
        task_root,
        layers_root / "python" / "lib" / python / "site-packages",
        layers_root / "python",
        runtime_folder,
    ]
    return {
        "_HANDLER": definition.handler,
        "AWS_DEFAULT_REGION": definition.region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{definition.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(definition.memory_mib),
        "AWS_LAMBDA_FUNCTION_NAME": definition.name,
        "AWS_LAMBDA_FUNCTION_VERSION": definition.version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": definition.log_format,
        "AWS_LAMBDA_LOG_GROUP_NAME": definition.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_REGION": definition.region,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        "HOME": str(guardian.scratch("home")),
        "LAMBDA_RUNTIME_DIR": str(runtime_folder),
        "LAMBDA_TASK_ROOT": str(task_root),
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": f"{task_root}:{task_root / 'lib'}:{layers_root / 'lib'}",
        "PATH": f"/usr/local/bin:/usr/bin:/bin:{layers_root / 'bin'}",
        "PYTHONPATH": ":".join(map(str, search_path)),
        "TZ": ":UTC",
    }
