// Package wire owns the sockets: it listens, dials, watches whether clients left, pumps answers, and carries tunnels. It
// is the only package that knows descriptors and socket options, and it knows no HTTP: the rules about what the bytes
// mean come in as a Tap.
//
// Goroutines: Watch.Run, one for the process, started and awaited by the caller. A Pump runs on the caller's, a Tunnel on
// that and one of its own.
package wire
