"""Clients: Closeup as a client of other servers: takes a stream by WHEP, gives one back by WHIP."""
