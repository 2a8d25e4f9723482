"""Rules about what is stored, and about what happens to events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from spotline.objects import TEMPORARY_TAG
from tests.template.rules.sources import Choice, Model, Page, rests_on
from tests.template.system import Resource, System, as_list

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORGOTTEN_DAYS = 90
_FORGOTTEN = Model("stepfunctions", "StartExecution", "You can reuse the name 90 days after it closes")
_REDRIVABLE_DAYS = 14
_REDRIVABLE = Model("stepfunctions", "RedriveExecution", "has not exceeded the redrivable period of 14 days")
_SAFE_BUCKETS = Page(
    "Amazon S3 User Guide",
    "Security best practices for Amazon S3",
    "https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html",
)

_METRIC_MATH = Page(
    "Amazon CloudWatch User Guide",
    "Using math expressions with CloudWatch metrics",
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html",
)
_OVER_ALL_POINTS = "AVG|DATAPOINT_COUNT|MAX|MIN|REMOVE_EMPTY|RUNNING_SUM|STDDEV|SUM"


@rests_on(
    _SAFE_BUCKETS,
    Page(
        "Amazon S3 User Guide",
        "Configuring a bucket lifecycle configuration to delete incomplete multipart uploads",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpu-abort-incomplete-mpu-lifecycle-config.html",
    ),
)
def buckets_are_safe(system: System) -> Iterator[str]:
    """Versioned, encrypted, closed to the public, without ACLs, rid of incomplete uploads."""
    for bucket in system.all("AWS::S3::Bucket"):
        properties = bucket.properties
        if properties.get("VersioningConfiguration", {}).get("Status") != "Enabled":
            yield f"{bucket.path} is not versioned"
        if "BucketEncryption" not in properties:
            yield f"{bucket.path} names no encryption"
        block = properties.get("PublicAccessBlockConfiguration", {})
        if len(block) != 4 or not all(block.values()):
            yield f"{bucket.path} can be made public"
        if properties.get("OwnershipControls") != {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}:
            yield f"{bucket.path} takes ACLs"
        rules = properties.get("LifecycleConfiguration", {}).get("Rules", [])
        if not any("AbortIncompleteMultipartUpload" in rule for rule in rules):
            yield f"{bucket.path} keeps incomplete uploads"


@rests_on(_SAFE_BUCKETS)
def buckets_speak_tls_only(system: System) -> Iterator[str]:
    """A statement that denies everything else, for the bucket and for its objects."""
    for bucket in system.all("AWS::S3::Bucket"):
        denied = [
            statement
            for policy in system.all("AWS::S3::BucketPolicy")
            if policy.properties["Bucket"] == bucket.ref
            for statement in as_list(policy.properties["PolicyDocument"]["Statement"])
            if statement["Effect"] == "Deny"
            and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        ]
        resources = {resource for statement in denied for resource in as_list(statement["Resource"])}
        arn = "{" + f"{bucket.path}.Arn" + "}"
        if not {arn, f"{arn}/*"} <= resources:
            yield f"{bucket.path} answers without TLS"


@rests_on(
    _REDRIVABLE,
    Choice("A redrive starts from the run's shards and checkpoints, so both are kept for as long as AWS takes one."),
)
def what_a_redrive_needs_is_kept(system: System) -> Iterator[str]:
    """Shards and checkpoints outlive the last redrive, and are removed then; results stay."""
    for name in ("IntermediateBucket", "ResultsBucket"):
        for rule in system.named(name).properties["LifecycleConfiguration"]["Rules"]:
            if int(rule.get("ExpirationInDays", _REDRIVABLE_DAYS + 1)) <= _REDRIVABLE_DAYS:
                yield f"{name} forgets after {rule['ExpirationInDays']} days, a run can be redriven for {_REDRIVABLE_DAYS}"
    rules = system.named("ResultsBucket").properties["LifecycleConfiguration"]["Rules"]
    removed = [rule.get("TagFilters") for rule in rules if "ExpirationInDays" in rule]
    key, value = TEMPORARY_TAG
    if removed != [[{"Key": key, "Value": value}]]:
        yield f"the results bucket must remove what is temporary, and nothing else: it removes {removed}"
    if not any(
        "ExpirationInDays" in rule
        for rule in system.named("IntermediateBucket").properties["LifecycleConfiguration"]["Rules"]
    ):
        yield "the intermediate bucket keeps every run's shards for ever"


@rests_on(
    Choice(
        "The table holds which gang holds which capacity, and the history of each run: nothing else could restore it."
    ),
    Model(
        "dynamodb", "PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled", "point in time recovery is enabled"
    ),
    Model("dynamodb", "CreateTableInput.DeletionProtectionEnabled", "deletion protection is to be enabled"),
)
def tables_are_safe(system: System) -> Iterator[str]:
    """Encrypted and recoverable; protected from deletion in prod."""
    prod = system.parameters.get("Stage") == "prod"
    for table in system.all("AWS::DynamoDB::Table"):
        if table.properties.get("SSESpecification", {}).get("SSEEnabled") is not True:
            yield f"{table.path} names no encryption"
        if table.properties.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled") is not True:
            yield f"{table.path} cannot be recovered"
        if prod and table.properties.get("DeletionProtectionEnabled") is not True:
            yield f"{table.path} can be deleted in prod"


@rests_on(
    Choice("What failed may hold names of people's files, and whoever may read a disk of AWS's must not read them."),
    Model("sqs", "CreateQueueRequest.Attributes", "server-side queue encryption using SQS owned encryption keys"),
)
def queues_are_encrypted(system: System) -> Iterator[str]:
    """What failed may hold what people named their files."""
    for queue in system.all("AWS::SQS::Queue"):
        if queue.properties.get("SqsManagedSseEnabled") is not True and "KmsMasterKeyId" not in queue.properties:
            yield f"{queue.path} is not encrypted"


@rests_on(
    Page(
        "Amazon EventBridge User Guide",
        "Using dead-letter queues to process undelivered events in EventBridge",
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html",
    ),
    Model("lambda", "PutFunctionEventInvokeConfig", "for too long, Lambda discards it"),
)
def no_event_is_lost_silently(system: System) -> Iterator[str]:
    """Every delivery to a function is retried and then kept; so is every event that a function fails on."""
    targets = [
        (rule.path, target)
        for rule in system.all("AWS::Events::Rule")
        for target in rule.properties["Targets"]
        if system.at(target["Arn"]).type == "AWS::Lambda::Function"
    ]
    targets += [(schedule.path, schedule.properties["Target"]) for schedule in system.all("AWS::Scheduler::Schedule")]
    kept = {config.properties["FunctionName"]: config for config in system.all("AWS::Lambda::EventInvokeConfig")}
    for path, target in targets:
        if "DeadLetterConfig" not in target or "RetryPolicy" not in target:
            yield f"{path} needs a retry policy and a dead-letter queue"
        function = system.at(target["Arn"])
        config = kept.get(function.ref)
        if config is None or "OnFailure" not in config.properties.get("DestinationConfig", {}):
            yield f"{function.path} has no destination for what it fails on"


@rests_on(
    Choice(
        "A contract says by when its file is expected, and a schedule that fires within a window reports a late file later."
    ),
    Model("scheduler", "FlexibleTimeWindow.Mode", "whether the schedule is invoked within a flexible time window"),
)
def schedules_are_punctual(system: System) -> Iterator[str]:
    """A flexible window would report a late file after its hour, and many reconciliations at once."""
    for schedule in system.all("AWS::Scheduler::Schedule"):
        if schedule.properties.get("FlexibleTimeWindow") != {"Mode": "OFF"}:
            yield f"{schedule.path} may fire later than its time"


@rests_on(
    _FORGOTTEN, Choice("A sweep finds what EventBridge gave up on, so it looks back for longer than EventBridge tries.")
)
def a_sweep_looks_back_as_far_as_it_must_and_may(system: System) -> Iterator[str]:
    """Longer than EventBridge tries to deliver an event; less than the 90 days after which an execution's name is free again."""
    days = int(system.named("SweepFunction").properties["Environment"]["Variables"]["LOOK_BACK_DAYS"])
    delivery = max(
        int(target["RetryPolicy"]["MaximumEventAgeInSeconds"])
        for rule in system.all("AWS::Events::Rule")
        for target in rule.properties["Targets"]
        if target["Arn"] == "{IngestFunction.Arn}"
    )
    if not delivery / 86_400 <= days < _FORGOTTEN_DAYS:
        yield f"a sweep looks back {days} days"


@rests_on(
    Page(
        "Amazon EventBridge User Guide",
        "Using dead-letter queues to process undelivered events in EventBridge",
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html#eb-dlq-perms",
    )
)
def rules_may_use_their_queue(system: System) -> Iterator[str]:
    """EventBridge drops a failed event when the queue's policy does not name the rule."""
    allowed = {
        arn
        for policy in system.all("AWS::SQS::QueuePolicy")
        for statement in as_list(policy.properties["PolicyDocument"]["Statement"])
        for arn in as_list(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
    }
    for rule in system.all("AWS::Events::Rule"):
        kept = any("DeadLetterConfig" in target for target in rule.properties["Targets"])
        if kept and "{" + f"{rule.path}.Arn" + "}" not in allowed:
            yield f"{rule.path} may not send to the queue of failed events"


@rests_on(
    _REDRIVABLE,
    Choice("Whoever redrives a run reads what its jobs wrote; after that, a log costs money and helps nobody."),
    Model("logs", "LogGroupImpact.currentRetention", "log events in the log group never expire"),
)
def logs_do_not_stay_for_ever(system: System) -> Iterator[str]:
    """A log group without retention is kept, and paid, for ever."""
    for group in system.all("AWS::Logs::LogGroup"):
        if int(group.properties.get("RetentionInDays", 0)) < _REDRIVABLE_DAYS:
            yield f"{group.path} keeps logs for ever, or not as long as a run can be redriven"


@rests_on(Choice("Whoever looks for a failure at night finds every step of the run in one log group and in one trace."))
def everything_is_logged_and_traced(system: System) -> Iterator[str]:
    """Functions into the one group of theirs, the state machine with every event; X-Ray through both."""
    for function in system.all("AWS::Lambda::Function"):
        if function.properties.get("LoggingConfig", {}).get("LogGroup") != "{FunctionLogGroup}":
            yield f"{function.path} does not log into the functions' group"
        if function.properties.get("TracingConfig", {}).get("Mode") != "Active":
            yield f"{function.path} is not traced"
    for machine in system.all("AWS::StepFunctions::StateMachine"):
        logging = machine.properties.get("LoggingConfiguration", {})
        if logging.get("Level") != "ALL":
            yield f"{machine.path} does not log what its alarms count"
        if machine.properties.get("TracingConfiguration", {}).get("Enabled") is not True:
            yield f"{machine.path} is not traced"


@rests_on(
    Choice("An alarm that notifies nobody is not read."),
    Model(
        "cloudwatch",
        "PutMetricAlarmInput.TreatMissingData",
        "If TreatMissingData is omitted, the default behavior of missing is used",
    ),
)
def alarms_reach_somebody(system: System) -> Iterator[str]:
    """An alarm without an action is a decoration, and one that misses its metric at rest cries wolf."""
    for alarm in system.all("AWS::CloudWatch::Alarm"):
        if not alarm.properties.get("AlarmActions") or "TreatMissingData" not in alarm.properties:
            yield f"{alarm.path} notifies nobody, or does not say what no data means"


@rests_on(
    _METRIC_MATH,
    Choice(
        "An alarm evaluates what was measured. What FILL makes up is always the newest value, and hides that nobody measured anything."
    ),
    Model("cloudwatch", "PutMetricAlarmInput.TreatMissingData", "Sets how this alarm is to handle missing data points"),
)
def alarms_judge_what_was_measured(system: System) -> Iterator[str]:
    """How an alarm takes missing data stands in `TreatMissingData`, where whoever reads the alarm looks for it.

    Arithmetic counts a missing value as 0, so that a sum needs no FILL. A comparison counts it as 0, too: whoever asks whether a metric
    is small gets yes for one that nobody measured.
    """
    for alarm, expression, metrics in _expressions(system):
        if "FILL(" in expression:
            yield f"{alarm.path} fills in what was not measured: {expression}"
        for metric in metrics:
            if re.search(rf"\b{metric} *(<|==)", expression):
                yield f"{alarm.path} takes {metric} for small when it was not measured: {expression}"


@rests_on(_METRIC_MATH)
def alarms_give_one_answer_however_much_is_retrieved(system: System) -> Iterator[str]:
    """CloudWatch retrieves more data points than an alarm evaluates, and recommends no function in alarms that depends on how many."""
    for alarm, expression, _ in _expressions(system):
        for function in re.findall(rf"\b({_OVER_ALL_POINTS})\(", expression):
            yield f"{alarm.path} uses {function}, whose value depends on how many data points are retrieved: {expression}"


def _expressions(system: System) -> Iterator[tuple[Resource, str, list[str]]]:
    """Each alarm's expressions, with the ids of the metrics beside them."""
    for alarm in system.all("AWS::CloudWatch::Alarm"):
        entries = alarm.properties.get("Metrics", [])
        metrics = [entry["Id"] for entry in entries if "MetricStat" in entry]
        yield from ((alarm, entry["Expression"], metrics) for entry in entries if "Expression" in entry)


RULES = (
    buckets_are_safe,
    buckets_speak_tls_only,
    what_a_redrive_needs_is_kept,
    tables_are_safe,
    queues_are_encrypted,
    no_event_is_lost_silently,
    schedules_are_punctual,
    a_sweep_looks_back_as_far_as_it_must_and_may,
    rules_may_use_their_queue,
    logs_do_not_stay_for_ever,
    everything_is_logged_and_traced,
    alarms_reach_somebody,
    alarms_judge_what_was_measured,
    alarms_give_one_answer_however_much_is_retrieved,
)
