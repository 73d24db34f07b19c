"""Who may do what: tokens, roles, namespaces, and what each endpoint asks for."""
