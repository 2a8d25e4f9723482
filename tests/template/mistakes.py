"""Mistakes to plant in a copy of the templates, each with the rule of ours that must catch it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.template.system import DEFINITION, FARGATE, PROD, TEMPLATE, read_texts

NETWORK, COMPUTE, JOBS, OBSERVABILITY = (
    f"infrastructure/{name}.yaml" for name in ("network", "compute", "jobs", "observability")
)


@dataclass(frozen=True)
class Mistake:
    """Something that a hurried hand, or a published template, gets wrong: `right` in a file becomes `wrong`."""

    rule: str
    file: str
    right: str
    wrong: str
    parameters: dict[str, str] = field(default_factory=dict)
    every: bool = False

    def planted(self) -> dict[str, str]:
        texts = read_texts()
        assert texts[self.file].count(self.right) >= 1, f"{self.right!r} is not in {self.file} any more"
        texts[self.file] = texts[self.file].replace(self.right, self.wrong, -1 if self.every else 1)
        return texts


TIMES = "!FindInMap [Times, !FindInMap [Member, !Ref GangInstanceType, Vcpus], !FindInMap [Times, !Ref GangMembers, !Ref SpotMaxGangs]]"
MISTAKES = {
    # Mistakes of published reference templates
    "64 vCPUs under 192-vCPU instances": Mistake("whole_gangs_fit", COMPUTE, TIMES, "64", PROD),
    "On-Demand with a Spot strategy": Mistake(
        "markets_and_strategies_agree", COMPUTE, "BEST_FIT_PROGRESSIVE\n", "SPOT_CAPACITY_OPTIMIZED\n"
    ),
    "an instance role that cannot join ECS": Mistake(
        "instances_can_join_their_cluster",
        COMPUTE,
        "AmazonEC2ContainerServiceforEC2Role",
        "AmazonECSTaskExecutionRolePolicy",
    ),
    "a role's name where its ARN belongs": Mistake(
        "roles_stand_as_arns", JOBS, "!GetAtt PreprocessRole.Arn", "!Ref PreprocessRole"
    ),
    "an instance profile's name where its ARN belongs": Mistake(
        "instances_can_join_their_cluster", COMPUTE, "!GetAtt InstanceProfile.Arn", "!Ref InstanceProfile"
    ),
    "a full-access policy": Mistake(
        "policies_of_aws_are_the_ones_it_needs",
        COMPUTE,
        "service-role/AmazonEC2ContainerServiceforEC2Role",
        "AmazonS3FullAccess",
    ),
    "one zone": Mistake(
        "capacity_comes_from_several_zones",
        NETWORK,
        '!Join [",", [!Ref PrivateSubnetA, !Ref PrivateSubnetB]]',
        "!Ref PrivateSubnetA",
    ),
    "both subnets in one zone": Mistake(
        "capacity_comes_from_several_zones", NETWORK, '!Select [1, !GetAZs ""]', '!Select [0, !GetAZs ""]'
    ),
    "retries of bad data": Mistake(
        "nothing_but_a_reclaimed_host_is_retried",
        JOBS,
        '{Action: EXIT, OnReason: "*"}',
        '{Action: RETRY, OnExitCode: "65"}',
    ),
    # Jobs
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
        "tasks_outlast_their_jobs", DEFINITION, '"TimeoutSeconds": 172800', '"TimeoutSeconds": 21600', every=True
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
        'MemoryMiB: "30720", Gpus: "1", EfaCards: "0", SpotTypes: [g6.2xlarge]',
        'MemoryMiB: "32768", Gpus: "1", EfaCards: "0", SpotTypes: [g6.2xlarge]',
    ),
    "an instance for two members": Mistake(
        "whole_gangs_fit", COMPUTE, "SpotTypes: [g6.2xlarge]", "SpotTypes: [g6.2xlarge, g6.12xlarge]"
    ),
    "two GPU models in one gang": Mistake(
        "whole_gangs_fit", COMPUTE, "SpotTypes: [g6.2xlarge]", "SpotTypes: [g6.2xlarge, g5.2xlarge]"
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
        FARGATE,
    ),
    "a definition for instances on Fargate": Mistake(
        "fargate_jobs_ask_for_what_fargate_has",
        JOBS,
        '!Sub "${NamePrefix}-postprocess-fargate", ',
        '!Sub "${NamePrefix}-postprocess", ',
        FARGATE,
    ),
    "instance types of Fargate": Mistake(
        "fargate_has_no_instances",
        COMPUTE,
        "        Type: FARGATE\n",
        "        Type: FARGATE\n        InstanceTypes: [m7i]\n",
        FARGATE,
    ),
    "Fargate behind instances": Mistake(
        "fargate_has_no_instances",
        COMPUTE,
        "        - {Order: 1, ComputeEnvironment: !Ref Fargate}\n",
        "        - {Order: 1, ComputeEnvironment: !Ref Fargate}\n        - {Order: 2, ComputeEnvironment: !Ref MainOnDemand}\n",
        FARGATE,
    ),
    "a writable root": Mistake("containers_write_to_tmp_only", JOBS, "        ReadonlyRootFilesystem: true\n", ""),
    "a definition pinned to a revision": Mistake(
        "jobs_are_named_without_revision",
        JOBS,
        "    Value: !Sub ${NamePrefix}-preprocess",
        "    Value: !Ref PreprocessJobDefinition",
    ),
    # Backfill
    "a backfill that is as urgent as the day": Mistake(
        "backfill_never_goes_before_the_day", COMPUTE, "      Priority: 1\n", "      Priority: 10\n"
    ),
    "a backfill on the day's queue": Mistake(
        "backfill_never_goes_before_the_day",
        DEFINITION,
        '"preprocess": "${BackfillQueue}"',
        '"preprocess": "${MainQueue}"',
    ),
    "a backfill that pays for On-Demand first": Mistake(
        "backfill_never_goes_before_the_day",
        COMPUTE,
        "        - {Order: 1, ComputeEnvironment: !Ref MainSpot}\n        - {Order: 2, ComputeEnvironment: !Ref MainOnDemand}\n",
        "        - {Order: 1, ComputeEnvironment: !Ref MainOnDemand}\n        - {Order: 2, ComputeEnvironment: !Ref MainSpot}\n",
    ),
    "a job without a share": Mistake(
        "datasets_share_the_queues_that_are_not_gangs", DEFINITION, '        "ShareIdentifier.$": "$.share",\n', ""
    ),
    "a queue that refuses shares": Mistake(
        "datasets_share_the_queues_that_are_not_gangs",
        COMPUTE,
        "      Priority: 10\n      SchedulingPolicyArn: !GetAtt SharesOfDatasets.Arn\n",
        "      Priority: 10\n",
    ),
    # Places
    "a replaced environment": Mistake(
        "environments_are_updated_in_place", COMPUTE, "      ReplaceComputeEnvironment: false\n", ""
    ),
    "a service role": Mistake(
        "environments_are_updated_in_place",
        COMPUTE,
        "      ReplaceComputeEnvironment: false\n",
        "      ReplaceComputeEnvironment: false\n      ServiceRole: role\n",
    ),
    "a desired number of vCPUs": Mistake(
        "environments_are_updated_in_place",
        COMPUTE,
        "        MinvCpus: 0\n",
        "        MinvCpus: 0\n        DesiredvCpus: 0\n",
    ),
    "a launch template's newest version": Mistake(
        "environments_are_updated_in_place", COMPUTE, "!GetAtt JobInstance.LatestVersionNumber", "$Latest"
    ),
    "a spread-out multi-node job": Mistake(
        "multi_node_jobs_stand_close", COMPUTE, "Strategy: cluster", "Strategy: spread"
    ),
    "an image without the driver": Mistake("images_suit_their_instances", COMPUTE, "ECS_AL2023_NVIDIA", "ECS_AL2023"),
    "Amazon Linux 2": Mistake(
        "images_suit_their_instances", COMPUTE, "{ImageType: ECS_AL2023}", "{ImageType: ECS_AL2}"
    ),
    "IMDSv1": Mistake("instances_are_hardened", COMPUTE, "HttpTokens: required", "HttpTokens: optional"),
    "a clear-text disk": Mistake("instances_are_hardened", COMPUTE, "Encrypted: true, ", ""),
    "a card without an interface": Mistake(
        "efa_is_complete",
        COMPUTE,
        "!If [WithEfa32, {NetworkCardIndex: 31, ",
        "!If [WithEfa4, {NetworkCardIndex: 31, ",
        {**PROD, "GangInstanceType": "p4d.24xlarge"},
    ),
    "a device that the container does not see": Mistake(
        "efa_is_complete",
        JOBS,
        "              - !If [WithEfa32, {HostPath: /dev/infiniband/uverbs31}, !Ref AWS::NoValue]\n",
        "",
        PROD,
    ),
    "EFA as the first interface": Mistake(
        "efa_is_complete",
        COMPUTE,
        "DeviceIndex: 0, InterfaceType: interface",
        "DeviceIndex: 0, InterfaceType: efa",
        PROD,
    ),
    "an interface without the gang's security group": Mistake(
        "efa_is_complete",
        COMPUTE,
        "InterfaceType: efa-only, Groups: [!Ref GangSecurityGroup]",
        "InterfaceType: efa-only, Groups: [!Ref JobSecurityGroup]",
        PROD,
    ),
    "no limit for a missing capacity": Mistake(
        "queues_do_not_wait_for_ever",
        COMPUTE,
        '        - {State: RUNNABLE, Action: CANCEL, MaxTimeSeconds: !Ref SpotMaxWaitSeconds, Reason: "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"}\n',
        "",
    ),
    "a limit that Batch refuses": Mistake(
        "queues_do_not_wait_for_ever", COMPUTE, "MaxTimeSeconds: 600", "MaxTimeSeconds: 300"
    ),
    "gangs that take turns": Mistake(
        "gangs_do_not_take_turns",
        COMPUTE,
        "        - {Order: 1, ComputeEnvironment: !Ref GpuSpot}\n",
        "        - {Order: 1, ComputeEnvironment: !Ref GpuSpot}\n      SchedulingPolicyArn: fair\n",
    ),
    "a port open to the world": Mistake(
        "nothing_comes_in_from_an_address",
        NETWORK,
        "SourceSecurityGroupId: !Ref JobSecurityGroup",
        "CidrIp: 0.0.0.0/0",
        {"Egress": "endpoints"},
    ),
    "a group that lets everything out": Mistake(
        "nothing_comes_in_from_an_address",
        NETWORK,
        "      SecurityGroupEgress:\n        - {IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: 0.0.0.0/0, Description: AWS APIs}\n",
        "",
    ),
    "a gang that cannot hear itself": Mistake(
        "a_gang_is_open_to_itself_both_ways",
        NETWORK,
        "      SourceSecurityGroupId: !Ref GangSecurityGroup\n",
        "      SourceSecurityGroupId: !Ref JobSecurityGroup\n",
    ),
    "data through the NAT gateway": Mistake(
        "private_subnets_reach_their_data", NETWORK, "${AWS::Region}.dynamodb", "${AWS::Region}.sqs"
    ),
    "no way to the registry": Mistake(
        "private_subnets_reach_their_data",
        NETWORK,
        "${AWS::Region}.ecr.dkr",
        "${AWS::Region}.sqs",
        {"Egress": "endpoints"},
    ),
    # Access
    "an action with a wildcard": Mistake(
        "no_action_is_a_wildcard", JOBS, "[s3:DeleteObject, s3:PutObjectTagging]", "s3:*"
    ),
    "everything instead of a table": Mistake(
        "every_resource_is_named_where_it_can_be",
        TEMPLATE,
        '              Action: dynamodb:Query\n              Resource: [!GetAtt RunsTable.Arn, !Sub "${RunsTable.Arn}/index/open-gangs"]',
        '              Action: dynamodb:Query\n              Resource: "*" # reasons',
    ),
    "a wildcard without a reason": Mistake(
        "every_wildcard_gives_its_reason", TEMPLATE, 'Resource: "*" # the action knows no resource', 'Resource: "*"'
    ),
    "a role for two jobs": Mistake(
        "nobody_shares_a_role", JOBS, "!GetAtt PostprocessRole.Arn", "!GetAtt PreprocessRole.Arn"
    ),
    "a definition that may not be submitted": Mistake(
        "whoever_submits_may_submit",
        TEMPLATE,
        "job-definition/${Jobs.Outputs.SpotGangJobDefinition}:*",
        "job-definition/${Jobs.Outputs.PreprocessJobDefinition}:*",
        every=True,  # both functions that submit gangs name it
    ),
    "a queue that may not be submitted to": Mistake(
        "whoever_submits_may_submit",
        TEMPLATE,
        "                - !GetAtt Compute.Outputs.MainQueue\n",
        "",
        FARGATE,  # else postprocess's queue is the same one
    ),
    "a named bucket": Mistake(
        "only_job_definitions_have_fixed_names",
        TEMPLATE,
        "  IngestBucket:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain\n    Properties:\n",
        "  IngestBucket:\n    Type: AWS::S3::Bucket\n    Properties:\n      BucketName: files\n",
    ),
    "a schedule named by SAM": Mistake(
        "only_job_definitions_have_fixed_names", TEMPLATE, "            OmitName: true", "            OmitName: false"
    ),
    "a definition without the stack's name": Mistake(
        "only_job_definitions_have_fixed_names",
        JOBS,
        "JobDefinitionName: !Sub ${NamePrefix}-preprocess",
        "JobDefinitionName: preprocess",
    ),
    # Data
    "a bucket without versions": Mistake(
        "buckets_are_safe", TEMPLATE, "      VersioningConfiguration: {Status: Enabled}\n", ""
    ),
    "a public bucket": Mistake("buckets_are_safe", TEMPLATE, "BlockPublicPolicy: true", "BlockPublicPolicy: false"),
    "uploads that are never finished": Mistake(
        "buckets_are_safe", TEMPLATE, "            AbortIncompleteMultipartUpload: {DaysAfterInitiation: 1}\n", ""
    ),
    "a bucket without TLS": Mistake(
        "buckets_speak_tls_only",
        TEMPLATE,
        'Condition: {Bool: {aws:SecureTransport: "false"}}',
        'Condition: {Bool: {aws:SecureTransport: "true"}}',
    ),
    "shards that die before the redrive": Mistake(
        "what_a_redrive_needs_is_kept", TEMPLATE, "ExpirationInDays: 28", "ExpirationInDays: 14"
    ),
    "results that die": Mistake(
        "what_a_redrive_needs_is_kept", TEMPLATE, "            TagFilters: [{Key: spotline, Value: temporary}]\n", ""
    ),
    "checkpoints that die before the redrive": Mistake(
        "what_a_redrive_needs_is_kept",
        TEMPLATE,
        "            TagFilters: [{Key: spotline, Value: temporary}]\n            ExpirationInDays: 28",
        "            TagFilters: [{Key: spotline, Value: temporary}]\n            ExpirationInDays: 7",
    ),
    "a table that cannot be recovered": Mistake(
        "tables_are_safe", TEMPLATE, "PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false"
    ),
    "a table that can be deleted in prod": Mistake(
        "tables_are_safe", TEMPLATE, "      DeletionProtectionEnabled: !If [IsProd, true, false]\n", "", PROD
    ),
    "a clear-text queue": Mistake("queues_are_encrypted", TEMPLATE, "      SqsManagedSseEnabled: true\n", ""),
    "an event without a dead-letter queue": Mistake(
        "no_event_is_lost_silently", TEMPLATE, "            DeadLetterConfig: {Arn: !GetAtt FailedEvents.Arn}\n", ""
    ),
    "a function that fails silently": Mistake(
        "no_event_is_lost_silently",
        TEMPLATE,
        "      EventInvokeConfig:\n        MaximumRetryAttempts: 2\n        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt FailedEvents.Arn}}\n",
        "",
    ),
    "a schedule that fires when it likes": Mistake(
        "schedules_are_punctual",
        TEMPLATE,
        'FlexibleTimeWindow: {Mode: "OFF"}',
        "FlexibleTimeWindow: {Mode: FLEXIBLE, MaximumWindowInMinutes: 15}",
    ),
    "a sweep that starts what was forgotten": Mistake(
        "a_sweep_looks_back_as_far_as_it_must_and_may",
        TEMPLATE,
        "LOOK_BACK_DAYS: !Ref SweepLookBackDays",
        "LOOK_BACK_DAYS: 90",
    ),
    "a sweep that gives up before EventBridge does": Mistake(
        "a_sweep_looks_back_as_far_as_it_must_and_may",
        TEMPLATE,
        "RetryPolicy: {MaximumEventAgeInSeconds: 86400, MaximumRetryAttempts: 185}",
        "RetryPolicy: {MaximumEventAgeInSeconds: 604800, MaximumRetryAttempts: 185}",
    ),
    "a rule that may not use its queue": Mistake(
        "rules_may_use_their_queue", TEMPLATE, "                  - !GetAtt NotifyFunctionExecutionEnded.Arn\n", ""
    ),
    "logs for ever": Mistake(
        "logs_do_not_stay_for_ever",
        TEMPLATE,
        "states/${AWS::StackName}\n      RetentionInDays: !Ref LogRetentionDays\n",
        "states/${AWS::StackName}\n",
    ),
    "a state machine that logs errors only": Mistake(
        "everything_is_logged_and_traced", TEMPLATE, "Level: ALL", "Level: ERROR"
    ),
    "functions without traces": Mistake("everything_is_logged_and_traced", TEMPLATE, "    Tracing: Active\n", ""),
    "an alarm that tells nobody": Mistake(
        "alarms_reach_somebody", OBSERVABILITY, "      AlarmActions: [!Ref Alerts]\n", ""
    ),
}
