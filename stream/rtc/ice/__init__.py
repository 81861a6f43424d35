"""ICE (RFC 8445): the addresses that the relay offers and sends to, and who helps with them."""
