"""A page and its tables from the summaries of `leuko-train evaluate`, with the reference's figures beside them."""
