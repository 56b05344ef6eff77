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
