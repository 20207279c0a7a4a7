"""What goes in, in detail: tables of every kind, schemas of answers, bodies of requests."""
