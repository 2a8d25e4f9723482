"""Mistakes in what instances are: types, network cards, security groups, images, updates."""

from __future__ import annotations

from tests.template.mistakes.planting import COMPUTE, JOBS, Mistake
from tests.template.system import EFA_1, PROD, TRIAL

MISTAKES = {
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
    "an image without the driver": Mistake(
        "images_suit_their_instances", COMPUTE, "!If [WithGpus, ECS_AL2023_NVIDIA, ECS_AL2023]", "ECS_AL2023"
    ),
    "a driver without a GPU": Mistake(
        "images_suit_their_instances",
        COMPUTE,
        "!If [WithGpus, ECS_AL2023_NVIDIA, ECS_AL2023]",
        "ECS_AL2023_NVIDIA",
        TRIAL,
    ),
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
    "security groups beside interfaces": Mistake(
        "security_groups_stand_in_one_place",
        COMPUTE,
        "SecurityGroupIds: !If [WithEfa, !Ref AWS::NoValue, [!Ref GangSecurityGroup]]",
        "SecurityGroupIds: [!Ref GangSecurityGroup]",
        PROD,
        every=True,
    ),
    "an interface without a group": Mistake(
        "security_groups_stand_in_one_place",
        COMPUTE,
        "InterfaceType: efa, Groups: [!Ref GangSecurityGroup], ",
        "InterfaceType: efa, ",
        PROD,
    ),
    "two interfaces on card 0 of a p5 beside the task's": Mistake(
        "network_cards_have_room",
        COMPUTE,
        "          - - {NetworkCardIndex: 0, DeviceIndex: 0, InterfaceType: efa, Groups: [!Ref GangSecurityGroup], DeleteOnTermination: true}\n",
        "          - - {NetworkCardIndex: 0, DeviceIndex: 0, InterfaceType: interface, Groups: [!Ref GangSecurityGroup], DeleteOnTermination: true}\n"
        "            - {NetworkCardIndex: 0, DeviceIndex: 1, InterfaceType: efa-only, Groups: [!Ref GangSecurityGroup], DeleteOnTermination: true}\n",
        PROD,
    ),
    "a first interface without an address": Mistake(
        "network_cards_have_room",
        COMPUTE,
        "DeviceIndex: 0, InterfaceType: efa,",
        "DeviceIndex: 0, InterfaceType: efa-only,",
        PROD,
    ),
    "cards that a smaller instance lacks": Mistake(
        "network_cards_have_room",
        COMPUTE,
        'MemoryMiB: "178176", Gpus: "4", EfaCards: "1"',
        'MemoryMiB: "178176", Gpus: "4", EfaCards: "4"',
        EFA_1,
    ),
    "addresses on every card": Mistake(
        "network_cards_have_room",
        COMPUTE,
        "{NetworkCardIndex: 1, DeviceIndex: 0, InterfaceType: efa-only,",
        "{NetworkCardIndex: 1, DeviceIndex: 0, InterfaceType: efa,",
        PROD,
    ),
    "an AMI that never moves": Mistake(
        "patches_reach_instances_and_end_no_job", COMPUTE, "        UpdateToLatestImageVersion: true\n", ""
    ),
    "an update that ends gangs": Mistake(
        "patches_reach_instances_and_end_no_job",
        COMPUTE,
        "JobExecutionTimeoutMinutes: 420",
        "JobExecutionTimeoutMinutes: 360",
        every=True,
    ),
    "an update that ends every job": Mistake(
        "patches_reach_instances_and_end_no_job", COMPUTE, "TerminateJobsOnUpdate: false", "TerminateJobsOnUpdate: true"
    ),
    "a longer update than Batch waits for": Mistake(
        "patches_reach_instances_and_end_no_job",
        COMPUTE,
        "JobExecutionTimeoutMinutes: 420",
        "JobExecutionTimeoutMinutes: 10080",
    ),
    "tags that replace an environment": Mistake(
        "no_tag_replaces_a_resource",
        COMPUTE,
        "      ReplaceComputeEnvironment: false\n",
        "      ReplaceComputeEnvironment: false\n      Tags: {stage: prod}\n",
    ),
    "tags that replace a placement group": Mistake(
        "no_tag_replaces_a_resource",
        COMPUTE,
        "      Strategy: cluster\n",
        "      Strategy: cluster\n      Tags: [{Key: stage, Value: prod}]\n",
    ),
    "a tag that cannot change": Mistake(
        "environments_are_updated_in_place",
        COMPUTE,
        "      ReplaceComputeEnvironment: false\n",
        "      ReplaceComputeEnvironment: false\n      Tags: {Project: spotline}\n",
    ),
    "a named environment": Mistake(
        "environments_are_updated_in_place",
        COMPUTE,
        "      ReplaceComputeEnvironment: false\n",
        "      ReplaceComputeEnvironment: false\n      ComputeEnvironmentName: gangs\n",
    ),
    "scratch volumes that stay for three hours": Mistake(
        "ended_jobs_leave_no_data_on_instances", COMPUTE, "            ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION=10m\n", ""
    ),
    "user data that Batch cannot merge": Mistake(
        "ended_jobs_leave_no_data_on_instances", COMPUTE, "Content-Type: multipart/mixed", "Content-Type: text/plain"
    ),
    "an idle instance store": Mistake("instance_stores_are_used", COMPUTE, "        UserData: *user-data\n", ""),
}
