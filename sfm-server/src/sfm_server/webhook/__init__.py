"""The event handler that posts each event to a URL."""
