// Package peers runs the proxies of a comparison, each with a configuration for the same upstreams, and reads from /proc what their processes
// use. It runs on Linux. configuration.go, process_linux.go and proc_linux.go are tested in peers_linux_test.go.
package peers
