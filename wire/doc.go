// Package wire owns the sockets: it listens, dials, watches whether clients left, pumps answers, and carries tunnels. It
// is the only package, with package loop below it, that knows descriptors and socket options. It knows no HTTP: a Tap has the rules about
// the bytes.
// Package app listens by it, package proxy serves its clients, and package transport dials by it.
//
// Goroutines: Watch.Run, one for the process, started and awaited by the caller. A Pump runs on the caller's goroutine; a Tunnel
// runs on the caller's and one of its own.
//
// The rules of watch.go are tested in client_test.go, those of stall.go and tunnel_end.go in tunnel_test.go, those of
// sockopt.go in options_linux_test.go. loops_linux.go and loops_darwin.go are tested in loops_linux_test.go.
package wire
