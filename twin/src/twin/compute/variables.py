"""The environment variables that AWS Batch and ECS set in a container, as pure functions.

Source: AWS Batch User Guide, "AWS Batch job environment variables" and "Environment variables" of multi-node parallel
jobs. That a node's ``AWS_BATCH_JOB_ID`` is ``<job id>#<node>`` is what the scripts of AWS ParallelCluster rely on.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """A node's place in a multi-node job; `main_address` is the main node's private address."""

    index: int
    count: int
    main: int
    main_address: str


@dataclass(frozen=True)
class Placed:
    """A container about to start: which job, which attempt, where."""

    job_id: str
    attempt: int
    queue: str
    compute_environment: str
    array_index: int | None = None
    array_size: int | None = None
    node: Node | None = None


def batch_variables(placed: Placed) -> dict[str, str]:
    """The ``AWS_BATCH_*`` variables of a container."""
    variables = {
        "AWS_BATCH_JOB_ID": placed.job_id,
        "AWS_BATCH_JOB_ATTEMPT": str(placed.attempt),
        "AWS_BATCH_JQ_NAME": placed.queue,
        "AWS_BATCH_CE_NAME": placed.compute_environment,
    }
    if placed.array_index is not None:
        variables["AWS_BATCH_JOB_ARRAY_INDEX"] = str(placed.array_index)
        variables["AWS_BATCH_JOB_ARRAY_SIZE"] = str(placed.array_size)
    if node := placed.node:
        variables["AWS_BATCH_JOB_ID"] = f"{placed.job_id}#{node.index}"
        variables["AWS_BATCH_JOB_NODE_INDEX"] = str(node.index)
        variables["AWS_BATCH_JOB_NUM_NODES"] = str(node.count)
        variables["AWS_BATCH_JOB_MAIN_NODE_INDEX"] = str(node.main)
        if node.index != node.main:
            variables["AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"] = node.main_address
    return variables
