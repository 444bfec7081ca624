"""What Prometheus and Grafana see of a cell; follows the engine from a process of its own."""
