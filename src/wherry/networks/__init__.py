"""Network sandboxes, endpoints, addresses, published ports behind one Protocol: bridge, host, none."""
