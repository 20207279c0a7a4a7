"""What a Batch API has to do, tried on the replay or on any other server."""
