package client

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestLoopback(t *testing.T) {
	for listen, want := range map[string]string{
		":1": "127.0.0.1:1 [::1]:1", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "[::1]:1 127.0.0.1:1",
		"127.1.2.3:1": "127.1.2.3:1", "[fd00::1]:1": "[fd00::1]:1", "localhost:1": "localhost:1",
	} {
		if got, err := loopback(listen); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v, %v, want %s", listen, got, err, want)
		}
	}
	for _, listen := range []string{"", "8081", "127.0.0.1:0", ":0"} {
		if got, err := Local(listen); err == nil {
			t.Errorf("%s: %v, want an error", listen, got)
		}
	}
}

// The first address that accepts is used, and the error is that of the first address.
func TestDialFirst(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	here, gone := s.Listener.Addr().String(), closed.Addr().String()
	c, err := dialFirst(t.Context(), []string{gone, here})
	if err != nil || c.RemoteAddr().String() != here {
		t.Fatalf("%v, %v", c, err)
	}
	c.Close()
	if _, err := dialFirst(t.Context(), []string{gone, "192.0.2.1:x"}); err == nil || !strings.Contains(err.Error(), gone) {
		t.Error(err)
	}
}
