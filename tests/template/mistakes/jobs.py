"""Mistakes in jobs: their definitions, the queue each goes to, and how a gang is formed."""

from __future__ import annotations

from tests.template.mistakes.planting import COMPUTE, JOBS, Mistake
from tests.template.system import DEFINITION, FARGATE, PROD, SHARED, TEMPLATE, TRIAL

TIMES = "!FindInMap [Times, !FindInMap [Member, !Ref GangInstanceType, Vcpus], !FindInMap [Times, !Ref GangMembers, !Ref SpotMaxGangs]]"
MISTAKES = {
    "64 vCPUs under 192-vCPU instances": Mistake("whole_gangs_fit", COMPUTE, TIMES, "64", PROD),
    "retries of bad data": Mistake(
        "nothing_but_a_reclaimed_host_is_retried",
        JOBS,
        '{Action: EXIT, OnReason: "*"}',
        '{Action: RETRY, OnExitCode: "65"}',
    ),
    "a multi-node job on Spot": Mistake(
        "multi_node_jobs_stay_away_from_spot",
        TEMPLATE,
        "ON_DEMAND_QUEUE: !GetAtt Compute.Outputs.OnDemandGangQueue",
        "ON_DEMAND_QUEUE: !GetAtt Compute.Outputs.SpotGangQueue",
    ),
    "a multi-node job on the main queue": Mistake(
        "multi_node_jobs_stay_away_from_spot",
        TEMPLATE,
        "PreprocessJobDefinition: !GetAtt Jobs.Outputs.PreprocessJobDefinition",
        "PreprocessJobDefinition: !GetAtt Jobs.Outputs.OnDemandGangJobDefinition",
    ),
    "On-Demand behind the Spot queue": Mistake(
        "each_market_has_its_own_way_to_form_a_gang",
        COMPUTE,
        "        - {Order: 1, ComputeEnvironment: !Ref GpuSpot}\n",
        "        - {Order: 1, ComputeEnvironment: !Ref GpuSpot}\n        - {Order: 2, ComputeEnvironment: !Ref GpuOnDemand}\n",
    ),
    "a gang that Batch retries": Mistake(
        "gangs_do_not_retry_by_themselves", JOBS, "RetryStrategy: {Attempts: 1}", "RetryStrategy: {Attempts: 3}"
    ),
    "a gang with rules for retries": Mistake(
        "gangs_do_not_retry_by_themselves", JOBS, "RetryStrategy: {Attempts: 1}", "RetryStrategy: *reclaimed-hosts-only"
    ),
    "two programs for one gang": Mistake(
        "both_gangs_are_one_program",
        JOBS,
        "            Container: *member",
        "            Container: {<<: *member, Image: other}",
    ),
    "no last word on retries": Mistake(
        "nothing_but_a_reclaimed_host_is_retried",
        JOBS,
        '{Action: EXIT, OnReason: "*"}',
        '{Action: EXIT, OnExitCode: "1"}',
    ),
    "a pattern that Batch refuses": Mistake(
        "nothing_but_a_reclaimed_host_is_retried", JOBS, '"Host EC2*"', '"Host EC2 (*"'
    ),
    "a job without a timeout": Mistake("every_job_ends", JOBS, "      Timeout: {AttemptDurationSeconds: 3600}\n", ""),
    "a Task that gives up before its job": Mistake(
        "tasks_outlast_their_jobs", DEFINITION, '"TimeoutSeconds": 86400', '"TimeoutSeconds": 7200'
    ),
    "a Task that gives up before its gang": Mistake(
        "tasks_outlast_their_jobs", DEFINITION, '"TimeoutSeconds": 1814400', '"TimeoutSeconds": 21600', every=True
    ),
    "a Task that gives up before its gang has a slot": Mistake(
        "tasks_outlast_their_jobs", DEFINITION, '"TimeoutSeconds": 1814400', '"TimeoutSeconds": 1209600', every=True
    ),
    "a gang of one": Mistake(
        "a_gang_is_an_array_that_batch_takes",
        TEMPLATE,
        "          GANG_MEMBERS: !Ref GangMembers",
        "          GANG_MEMBERS: 1",
    ),
    "a fixed number of nodes": Mistake(
        "a_gang_is_an_array_that_batch_takes", JOBS, "NumNodes: !Ref GangMembers", "NumNodes: 2", {"GangMembers": "4"}
    ),
    "half a gang too many": Mistake("whole_gangs_fit", COMPUTE, TIMES, "24"),
    "a slip in the multiplication table": Mistake(
        "whole_gangs_fit", COMPUTE, '{"2": "384", "3": "576", "4": "768"', '{"2": "384", "3": "576", "4": "678"', PROD
    ),
    "more memory than ECS registers": Mistake(
        "whole_gangs_fit",
        COMPUTE,
        'g6.2xlarge: {Vcpus: "8", MemoryMiB: "29696"',
        'g6.2xlarge: {Vcpus: "8", MemoryMiB: "32768"',
    ),
    "15/16 of a small instance": Mistake(
        "whole_gangs_fit",
        COMPUTE,
        'c7i.large: {Vcpus: "2", MemoryMiB: "3072"',
        'c7i.large: {Vcpus: "2", MemoryMiB: "3840"',
        TRIAL,
    ),
    "no GPU asked for by number": Mistake(
        "resources_are_asked_for_in_whole_numbers",
        JOBS,
        "!If [WithGpus, {Type: GPU, Value: !Ref MemberGpus}, !Ref AWS::NoValue]",
        "{Type: GPU, Value: !Ref MemberGpus}",
        TRIAL,
    ),
    "an instance for two members": Mistake(
        "whole_gangs_fit", COMPUTE, "[!Ref GangInstanceType]\n", "[!Ref GangInstanceType, g6.12xlarge]\n"
    ),
    "two GPU models in one gang": Mistake(
        "whole_gangs_fit", COMPUTE, "[!Ref GangInstanceType]\n", "[!Ref GangInstanceType, g5.2xlarge]\n"
    ),
    "a job that fits nowhere": Mistake(
        "jobs_on_the_main_queue_fit", JOBS, '{Type: VCPU, Value: "4"}', '{Type: VCPU, Value: "96"}'
    ),
    "memory that Fargate does not lend": Mistake(
        "fargate_jobs_ask_for_what_fargate_has",
        JOBS,
        '{Type: MEMORY, Value: "8192"}',
        '{Type: MEMORY, Value: "7680"}',
        FARGATE,
    ),
    "a host's folder on Fargate": Mistake(
        "fargate_jobs_ask_for_what_fargate_has",
        JOBS,
        "Volumes: [{Name: scratch}]",
        "Volumes: [{Name: scratch, Host: {}}]",
        TRIAL,
    ),
    "a definition for instances on Fargate": Mistake(
        "fargate_jobs_ask_for_what_fargate_has",
        JOBS,
        '!Sub "${NamePrefix}-postprocess-fargate", ',
        '!Sub "${NamePrefix}-postprocess", ',
        FARGATE,
    ),
    "a writable root": Mistake("containers_write_to_tmp_only", JOBS, "        ReadonlyRootFilesystem: true\n", ""),
    "a shared folder in another place": Mistake(
        "containers_write_to_tmp_only", JOBS, "ContainerPath: /shared,", "ContainerPath: /opt,", SHARED
    ),
    "a definition pinned to a revision": Mistake(
        "jobs_are_named_without_revision",
        JOBS,
        '!Sub "${NamePrefix}-preprocess"]',
        "!Ref PreprocessJobDefinition]",
    ),
}
