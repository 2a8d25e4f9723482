"""Mistakes in who may do what, and in what things are called."""

from __future__ import annotations

from tests.template.mistakes.planting import COMPUTE, JOBS, Mistake
from tests.template.system import DEFINITION, FARGATE, GUARDED, TEMPLATE

MISTAKES = {
    "a role's name where its ARN belongs": Mistake(
        "roles_stand_as_arns", JOBS, "!GetAtt PreprocessRole.Arn", "!Ref PreprocessRole"
    ),
    "a full-access policy": Mistake(
        "policies_of_aws_are_the_ones_it_needs",
        COMPUTE,
        "service-role/AmazonEC2ContainerServiceforEC2Role",
        "AmazonS3FullAccess",
    ),
    "an action with a wildcard": Mistake(
        "no_action_is_a_wildcard", JOBS, "[s3:DeleteObject, s3:PutObjectTagging]", "s3:*"
    ),
    "everything instead of a table": Mistake(
        "every_resource_is_named_where_it_can_be",
        TEMPLATE,
        '              Action: dynamodb:Query\n              Resource: [!GetAtt RunsTable.Arn, !Sub "${RunsTable.Arn}/index/open-gangs", !Sub "${RunsTable.Arn}/index/failed-runs"]',
        '              Action: dynamodb:Query\n              Resource: "*" # reasons',
    ),
    "a wildcard without a reason": Mistake(
        "every_wildcard_gives_its_reason", TEMPLATE, 'Resource: "*" # the action knows no resource', 'Resource: "*"'
    ),
    "a role for two jobs": Mistake(
        "nobody_shares_a_role", JOBS, "!GetAtt PostprocessRole.Arn", "!GetAtt PreprocessRole.Arn"
    ),
    "a misspelled action": Mistake(
        "every_statement_is_one_that_iam_can_use", JOBS, "s3:PutObjectTagging", "s3:TagObject"
    ),
    "a bucket for an action on objects": Mistake(
        "every_statement_is_one_that_iam_can_use",
        JOBS,
        "Resource: !Sub arn:${AWS::Partition}:s3:::${IngestBucket}/data/*",
        "Resource: !Sub arn:${AWS::Partition}:s3:::${IngestBucket}",
    ),
    "a submission without the job": Mistake(
        "whatever_an_action_requires_is_granted",
        TEMPLATE,
        "                - !Sub arn:${AWS::Partition}:batch:${AWS::Region}:${AWS::AccountId}:job/*\n",
        "",
    ),
    "a condition on a key that no request has": Mistake(
        "every_condition_key_exists",
        TEMPLATE,
        "aws:ResourceTag/spotline:execution-arn",
        "batch:JobTag/spotline:execution-arn",
    ),
    "a role without the boundary": Mistake(
        "every_role_takes_boundary_and_path",
        JOBS,
        "      PermissionsBoundary: !If [WithPermissionsBoundary, !Ref PermissionsBoundary, !Ref AWS::NoValue]\n",
        "",
        GUARDED,
    ),
    "a schedule whose role SAM makes, without the path": Mistake(
        "every_role_takes_boundary_and_path",
        TEMPLATE,
        "            RoleArn: !GetAtt SweepScheduleRole.Arn\n",
        "            PermissionsBoundary: !Ref PermissionsBoundary\n",
        GUARDED,
    ),
    "task tokens in the state machine's log": Mistake(
        "no_log_holds_a_task_token", TEMPLATE, "IncludeExecutionData: false", "IncludeExecutionData: true"
    ),
    "an integration of the partition aws": Mistake(
        "nothing_names_a_partition",
        DEFINITION,
        "arn:${Partition}:states:::batch:submitJob.sync",
        "arn:aws:states:::batch:submitJob.sync",
    ),
    "anybody's jobs ended": Mistake(
        "nobody_ends_the_jobs_of_others",
        TEMPLATE,
        """            Condition:
              StringLike:
                aws:ResourceTag/spotline:execution-arn: !Sub arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:execution:${Pipeline.Name}:*
""",
        "",
    ),
    "tags allowed on the job only": Mistake(
        "whoever_submits_may_submit_and_tag",
        TEMPLATE,
        """              Action: [batch:SubmitJob, batch:TagResource]
              Resource: # see the state machine's role
""",
        """              Action: batch:TagResource
              Resource: !Sub arn:${AWS::Partition}:batch:${AWS::Region}:${AWS::AccountId}:job/*
            - Sid: SubmitGangs
              Effect: Allow
              Action: batch:SubmitJob
              Resource:
""",
    ),
    "a definition that may not be submitted": Mistake(
        "whoever_submits_may_submit_and_tag",
        TEMPLATE,
        "job-definition/${Jobs.Outputs.SpotGangJobDefinition}:*",
        "job-definition/${Jobs.Outputs.PreprocessJobDefinition}:*",
        every=True,  # both functions that submit gangs name it
    ),
    "a queue that may not be submitted to": Mistake(
        "whoever_submits_may_submit_and_tag",
        TEMPLATE,
        "                - !GetAtt Compute.Outputs.MainQueue\n",
        "",
        FARGATE,  # else postprocess's queue is the same one
    ),
    "a named bucket": Mistake(
        "only_the_stacks_own_names_are_fixed",
        TEMPLATE,
        "  IngestBucket:\n    Type: AWS::S3::Bucket\n    DeletionPolicy: Retain\n    UpdateReplacePolicy: Retain\n    Properties:\n",
        "  IngestBucket:\n    Type: AWS::S3::Bucket\n    Properties:\n      BucketName: files\n",
    ),
    "a schedule named by SAM": Mistake(
        "only_the_stacks_own_names_are_fixed", TEMPLATE, "            OmitName: true", "            OmitName: false"
    ),
    "a log group that two stacks would share": Mistake(
        "only_the_stacks_own_names_are_fixed",
        TEMPLATE,
        "/aws/vendedlogs/states/${AWS::StackName}",
        "/aws/vendedlogs/states/pipeline",
    ),
    "a definition without the stack's name": Mistake(
        "only_the_stacks_own_names_are_fixed",
        JOBS,
        "JobDefinitionName: !Sub ${NamePrefix}-preprocess",
        "JobDefinitionName: preprocess",
    ),
}
