"""Reading back what containers wrote, behind one Protocol: json-file, none."""
