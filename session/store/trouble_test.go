package store

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

// Each error of the network has its words. Those of servers are tested with servers.
func TestTroubleOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Trouble
	}{
		{nil, none},
		{context.Canceled, none},
		{context.DeadlineExceeded, noAnswer},
		{fmt.Errorf("read: %w", os.ErrDeadlineExceeded), noAnswer},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, refused},
		{&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, unreachable},
		{&net.DNSError{Err: "no such host", Name: "redis.example"}, unreachable},
		{x509.UnknownAuthorityError{}, insecure},
		{io.EOF, closed},
		{errors.New("other"), closed},
	} {
		if got := troubleOf(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
