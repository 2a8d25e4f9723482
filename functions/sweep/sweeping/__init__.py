"""What `sweep` does, a module a subject: what it was asked, what lies in the bucket, what a version's runs are, which days are late."""
