"""What a consumer does: reads events and hands them to handlers."""
