"""How tables, pictures, requests and answers look, in detail; the road leads past here."""
