"""What Slack is told: which outcomes there are, what is said about each, and that it is said once."""
