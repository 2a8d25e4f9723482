"""What an operator can do about each typed failure. `docs/operate.md` says the same at more length."""

from announce.messages import Step

_LOOK_AND_REDRIVE = "Look at the log and at the state's comment in the console's graph, mend the cause, then redrive."

_ADVICE = {
    "Spot.Interrupted": "Spot took the instances away every time. Redrive later, or start the run with market on-demand; training goes on from the last checkpoint.",
    "Spot.NoCapacity": "Spot has no room for the gang's instance type. Redrive later, or start the run with market on-demand; training goes on from the last checkpoint.",
    "OnDemand.NoCapacity": "Ask for capacity or a higher quota, then redrive; training goes on from the last checkpoint.",
    "Gang.MemberLost": "Twice a member vanished and no host was reclaimed, or a gang did not form in time. Look at its log, then redrive; training goes on from the last checkpoint.",
    "Budget.Exhausted": "The day's On-Demand gang hours are spent. Redrive tomorrow, or raise the limit and redrive.",
    "Slot.TimedOut": "More gangs waited than there are slots. Raise SpotMaxGangs or OnDemandMaxGangs, or wait until fewer runs are waiting, then redrive.",
    "Data.Rejected": "The log, and quality.json where there is one, say what was refused. Land a corrected file, which starts a run of its own; or mend contract or tolerance and redrive.",
    "Job.OutOfMemory": "Give the job more memory: a gang by a larger GangInstanceType, the other jobs in infrastructure/jobs.yaml. Deploy, then redrive.",
    "Job.ImageUnavailable": "Push the image, or mend its address in the parameters and deploy, then redrive.",
    "Job.TimedOut": "See in the log what took so long. If the data simply grew, raise the job's timeout, deploy, then redrive.",
    "Job.NotPlaced": "No instance was there that the job fits on. Batch also says so while instances start from zero: redrive once. If it comes again, the job asks for more than any instance type of its queue has.",
    "Job.Misconfigured": "The message or the log names what is not set up. Fix it, then redrive.",
    "Job.Terminated": "Somebody ended the job. Redrive when it may run again.",
    "Job.Failed": "The program failed by itself. Mend it, push the image, then redrive.",
    "States.Timeout": "See in the graph which state took so long, and why. Redrive when the cause is gone; its time starts again.",
    "Stopped": "If it was stopped by mistake, redrive: it goes on at the state that it was in.",
}


def what_to_do(error: str, execution_arn: str, *, redrivable: bool) -> tuple[Step, ...]:
    """The steps for a failed, timed-out or stopped execution.

    Redrive is possible for 14 days after the end, on the definition that the execution was started with ("Redriving executions",
    Step Functions developer guide).
    """
    first = Step(_ADVICE.get(error, _LOOK_AND_REDRIVE))
    if not redrivable:
        return (
            first,
            Step("This execution cannot be redriven any more: land the file again, which starts a new run."),
        )
    command = f"aws stepfunctions redrive-execution --execution-arn {execution_arn}"
    return (first, Step("Redrive from the console's execution page, or from the command line:", command))
