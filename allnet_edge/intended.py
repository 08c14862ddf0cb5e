"""What everything that leaves this package says of its use; ``docs/intended_use.md`` says more."""

RESEARCH_USE = "Research use only. Nothing here makes a diagnosis."
