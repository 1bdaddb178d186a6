"""What can happen to an exchange, one module a fault; without I/O."""
