"""The sentences: Step, Plan, Report, and how they are saved."""
