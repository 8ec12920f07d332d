"""What many machines share: a journal in a PostgreSQL database. Needs the extra ``fleet``."""
