"""Files as such: reading with positions, writing atomically. Nothing here knows of BIDS."""
