"""Pictures of what a topology looks like."""
