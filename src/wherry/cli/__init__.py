"""The command line `wherry`: docker's verbs and flags over the client."""
