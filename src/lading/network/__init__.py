"""Where containers meet the network: bridges, addresses, published ports, hosts and DNS files."""
