"""netlink(7): the kernel's own protocol for links, addresses, routes and connection tracking."""
