"""One module for each verb or small group of verbs; only the one that was typed is imported."""
