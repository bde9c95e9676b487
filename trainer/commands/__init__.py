"""One file per `leuko-train` command."""
