package wiretest

import (
	"net"
	"testing"
)

func TestTCPInfo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before := TCPInfo(t, c.(*net.TCPConn)).Data_segs_out
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if n := TCPInfo(t, c.(*net.TCPConn)).Data_segs_out - before; n != 1 {
		t.Errorf("%d segments for a byte", n)
	}
}
