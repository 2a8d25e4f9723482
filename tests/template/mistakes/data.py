"""Mistakes in what holds data, events and logs, and in what reports trouble."""

from __future__ import annotations

from tests.template.mistakes.planting import OBSERVABILITY, Mistake
from tests.template.system import FARGATE, PROD, TEMPLATE

MISTAKES = {
    "a bucket without versions": Mistake(
        "buckets_are_safe", TEMPLATE, "      VersioningConfiguration: {Status: Enabled}\n", ""
    ),
    "a public bucket": Mistake("buckets_are_safe", TEMPLATE, "BlockPublicPolicy: true", "BlockPublicPolicy: false"),
    "a bucket with ACLs": Mistake(
        "buckets_are_safe", TEMPLATE, "ObjectOwnership: BucketOwnerEnforced", "ObjectOwnership: ObjectWriter"
    ),
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
    "a clear-text queue": Mistake(
        "queues_are_encrypted",
        TEMPLATE,
        "      SqsManagedSseEnabled: !If [WithKey, !Ref AWS::NoValue, true]\n      KmsMasterKeyId: !If [WithKey, !Ref KmsKeyArn, !Ref AWS::NoValue]\n",
        "",
    ),
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
    "an alarm that notifies nobody": Mistake(
        "alarms_reach_somebody", OBSERVABILITY, "      AlarmActions: [!Ref Alerts]\n", ""
    ),
    "an alarm on a value that nobody measured": Mistake(
        "alarms_judge_what_was_measured",
        OBSERVABILITY,
        "IF(main > postprocess, main, postprocess)",
        "IF(main > FILL(postprocess, 0), main, postprocess)",
        FARGATE,
    ),
    "an alarm that takes a period without data for a day without runs": Mistake(
        "alarms_judge_what_was_measured",
        OBSERVABILITY,
        "IF(today, 0, HOUR(today) >= ${RunExpectedByHour})",
        "IF(HOUR(today) >= ${RunExpectedByHour} AND today < 1, 1, 0)",
        {**PROD, "RunExpectedByHour": "12"},
    ),
    "an alarm over as many points as CloudWatch happens to retrieve": Mistake(
        "alarms_give_one_answer_however_much_is_retrieved",
        OBSERVABILITY,
        '"e1 + e2 + e3 + e4 + e5 + t1 + t2 + t3 + t4 + t5"',
        '"SUM([e1, e2, e3, e4, e5, t1, t2, t3, t4, t5])"',
    ),
}
