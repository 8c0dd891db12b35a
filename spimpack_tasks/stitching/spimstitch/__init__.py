"""The files and environment variables of spimstitch, so that old recordings and scripts work."""
