"""What is kept: blobs by digest, records in one database, and what may be collected."""
