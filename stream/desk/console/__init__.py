"""The console: the coding desk's pages, its search, the underlying cause as the coder edits."""
