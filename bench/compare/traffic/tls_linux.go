package traffic

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// handshakeLimit bounds each wait of a handshake.
const handshakeLimit = 3 * time.Second

// wire is a socket as crypto/tls needs it. It waits during the handshake and never afterwards: then a Read without bytes is again.
type wire struct {
	net.Conn // nil: crypto/tls calls nothing but Read and Write
	socket   *socket
	blocking bool
}

// again is the error of a Read that found no bytes. crypto/tls goes on after an error that is temporary.
type again struct{}

func (again) Error() string   { return "no bytes have arrived" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

func (w *wire) Read(b []byte) (int, error) {
	n, err := unix.Read(w.socket.fd, b)
	switch {
	case err == unix.EAGAIN && w.blocking:
		return 0, errors.New("the handshake took too long")
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, again{}
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (w *wire) Write(b []byte) (int, error) {
	if err := w.socket.send(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// shake connects the client and does the handshake. The loop waits for it, so it is for the opening of a load alone.
func (c *client) shake() error {
	limit := unix.NsecToTimeval(int64(handshakeLimit))
	w := &wire{socket: &c.socket, blocking: true}
	err := unix.SetNonblock(c.fd, false)
	if err == nil {
		err = unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)
	}
	if err != nil {
		return err
	}
	c.tls = tls.Client(w, &tls.Config{InsecureSkipVerify: true}) // the certificate was made for this run
	if err := c.tls.Handshake(); err != nil {
		return err
	}
	w.blocking = false
	return unix.SetNonblock(c.fd, true)
}

// receiveTLS returns bytes that have arrived, in the loop's buffer, like receive.
func (c *client) receiveTLS() (b []byte, open bool, err error) {
	n, err := c.tls.Read(c.socket.loop.buffer)
	switch {
	case errors.Is(err, io.EOF):
		return nil, false, nil
	case errors.As(err, new(again)):
		return nil, true, nil
	case err != nil:
		return nil, false, err
	}
	return c.socket.loop.buffer[:n], true, nil
}
