"""What people see in a browser: each page is the API with a face, with the same rights."""
