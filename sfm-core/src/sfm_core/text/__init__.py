"""From payloads to the texts and terms that recall searches."""
