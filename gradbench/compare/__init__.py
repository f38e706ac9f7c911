"""What became slower or larger between two results files of one machine."""
