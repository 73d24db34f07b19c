"""How much the server takes on: requests a minute, work at once, and patience with clients."""
