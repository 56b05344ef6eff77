package wire

import (
	"errors"
	"net"
	"syscall"

	"tether/wire/loop"
)

// There are no loops on macOS, so no Listener has an acceptor. This one has the methods that are called.
type acceptor = net.TCPListener

func newAcceptor(*loop.Loops, *net.TCPListener) (*acceptor, error) { return nil, errNoLoops }

var errNoLoops = errors.New("no event loops on macOS")

func inherited(options func(string, string, syscall.RawConn) error) func(string, string, syscall.RawConn) error {
	return options
}

func (*Listener) acceptOnLoop() (*Client, error) { return nil, errNoLoops }

// Near reports true: there is no loop to be far from.
func (*Conn) Near(*Client) bool { return true }

// Join reports false: no loop drives the client.
func (*Conn) Join(*Client) bool { return false }
