"""What the agent remembers between two starts: its id, the streams it knows and how far each lane got."""
