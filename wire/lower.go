package wire

import (
	"net"
	"syscall"
)

// lower is the connection below TLS: that of a Client.
type lower interface {
	net.Conn
	syscall.Conn
	SetLinger(seconds int) error
	CloseWrite() error
}

// looped is a connection of a loop: a Socket of package wire/loop, which exists where there are loops.
type looped interface {
	net.Conn
	WriteParts(parts net.Buffers) error
	Noisy() bool
	Unread() bool
}
