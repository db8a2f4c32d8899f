"""What happened, to whom, when: a bus with a bounded history."""
