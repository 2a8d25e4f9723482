"""Rules about who may do what, and about names."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.template.rules.jobs import container, submissions
from tests.template.system import System, as_list

if TYPE_CHECKING:
    from collections.abc import Iterator

# Actions without a resource type, for which IAM takes "*" only (Service Authorization Reference, by service).
_WITHOUT_RESOURCE = {
    "batch:DescribeJobs",
    "batch:ListJobs",
    "ecr:GetAuthorizationToken",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "states:SendTaskFailure",
    "states:SendTaskSuccess",
}

# AWS's own policies that AWS itself needs: to join ECS, to write a function's log, to send traces.
_MANAGED = {
    "service-role/AmazonEC2ContainerServiceforEC2Role",
    "service-role/AWSLambdaBasicExecutionRole",
    "AWSXRayDaemonWriteAccess",
    "AWSXrayWriteOnlyAccess",
}

# Types whose replacement would clash with itself, or with another stack, if it had a name of its own.
_NAMES = {
    "AWS::Batch::ComputeEnvironment": "ComputeEnvironmentName",
    "AWS::Batch::JobQueue": "JobQueueName",
    "AWS::Batch::SchedulingPolicy": "Name",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::EC2::LaunchTemplate": "LaunchTemplateName",
    "AWS::EC2::PlacementGroup": "GroupName",
    "AWS::EC2::SecurityGroup": "GroupName",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::Scheduler::Schedule": "Name",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}


def no_action_is_a_wildcard(system: System) -> Iterator[str]:
    """A role lists what its code calls."""
    for resource, statement in system.statements():
        if "NotAction" in statement or "NotResource" in statement:
            yield f"{resource.path} allows everything but something"
        for action in as_list(statement.get("Action", [])):
            if "*" in action:
                yield f"{resource.path} allows {action}"


def every_resource_is_named_where_it_can_be(system: System) -> Iterator[str]:
    """`*` stands only where IAM takes nothing else."""
    for resource, statement in system.statements():
        if "*" in as_list(statement.get("Resource", [])):
            named = set(as_list(statement["Action"])) - _WITHOUT_RESOURCE
            if named:
                yield f"{resource.path} allows {sorted(named)} on everything"


def every_wildcard_gives_its_reason(system: System) -> Iterator[str]:
    """In a comment on the same line, where whoever reviews the template sees it."""
    for file, text in system.texts.items():
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip().startswith('Resource: "*"') and "#" not in line:
                yield f"{file}:{number} allows something on everything and does not say why"


def policies_of_aws_are_the_ones_it_needs(system: System) -> Iterator[str]:
    """No full-access policy, and none that a statement of ours could stand for."""
    for role in system.all("AWS::IAM::Role"):
        for arn in role.properties.get("ManagedPolicyArns", []):
            if str(arn).split(":policy/", 1)[-1] not in _MANAGED:
                yield f"{role.path} has {arn}"


def roles_stand_as_arns(system: System) -> Iterator[str]:
    """`Ref` of a role is its name, which Batch refuses or, worse, takes for something else."""
    for definition in system.all("AWS::Batch::JobDefinition"):
        for key in ("JobRoleArn", "ExecutionRoleArn"):
            arn = str(container(definition).get(key))
            if not arn.endswith(".Arn}") or system.at(arn).type != "AWS::IAM::Role":
                yield f"{definition.path}: {key} is {arn}"


def nobody_shares_a_role(system: System) -> Iterator[str]:
    """One for each job and each function; the two ways to run the analysis are one job."""
    jobs = {
        (definition.properties["JobDefinitionName"].split("-")[1], container(definition)["JobRoleArn"])
        for definition, _ in submissions(system)
    }
    functions = [(function.name, function.properties["Role"]) for function in system.all("AWS::Lambda::Function")]
    shared = [role for role, times in Counter(role for _, role in [*jobs, *functions]).items() if times > 1]
    for role in shared:
        yield f"{role} is the role of several"


def whoever_submits_may_submit(system: System) -> Iterator[str]:
    """SubmitJob is checked against the queue and against the definition, with and without its revision."""
    allowed = {
        resource
        for _, statement in system.statements()
        if "batch:SubmitJob" in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }
    for definition, queue in submissions(system):
        arn = f"arn:aws:batch:eu-central-1:111122223333:job-definition/{definition.properties['JobDefinitionName']}"
        for needed in (queue, arn, f"{arn}:*"):
            if needed not in allowed:
                yield f"nobody may submit {needed}"


def only_job_definitions_have_fixed_names(system: System) -> Iterator[str]:
    """Theirs begin with the stack's: jobs are submitted by name, and two stacks share an account."""
    for resource in system.resources:
        name = _NAMES.get(resource.type)
        if name in resource.properties:
            yield f"{resource.path} has the fixed name {resource.properties[name]}"
    for definition in system.all("AWS::Batch::JobDefinition"):
        if not definition.properties["JobDefinitionName"].startswith("spotline-"):
            yield f"{definition.path}: its name must begin with the stack's"


RULES = (
    no_action_is_a_wildcard,
    every_resource_is_named_where_it_can_be,
    every_wildcard_gives_its_reason,
    policies_of_aws_are_the_ones_it_needs,
    roles_stand_as_arns,
    nobody_shares_a_role,
    whoever_submits_may_submit,
    only_job_definitions_have_fixed_names,
)
