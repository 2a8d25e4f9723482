"""The last job of a run: merges what cleaning and analysis left into metrics, a report and the table's items."""
