"""What the agent costs.  `./dev bench [NAME ...]` runs these and prints the machine beside the numbers."""
