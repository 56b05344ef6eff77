// Package traffic generates load and answers it: clients and cheap upstreams, each on one thread with an epoll set, in one process with
// one monotonic clock. It knows HTTP/1.1 only as far as it needs to read its own traffic behind a proxy, and it checks every response. It
// runs on Linux. clock.go, loop_linux.go, socket_linux.go, upstreams_linux.go, client_linux.go, load_linux.go and tls_linux.go are tested in
// traffic_linux_test.go.
package traffic
