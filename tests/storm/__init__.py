"""Many files, many workers, and a day on which everything that can die dies."""
