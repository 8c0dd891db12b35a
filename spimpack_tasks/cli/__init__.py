"""The `spimpack` command: one module per subcommand, each a thin face on the stages."""
