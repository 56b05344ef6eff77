package dns

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	dnslib "github.com/miekg/dns"
)

// The next server is asked after each failure of one: no listener, SERVFAIL.
func TestNextServer(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	broken, good := newZone(t), newZone(t)
	broken.change(func(z *zone) { z.code = dnslib.RcodeServerFailure })
	good.set("a.example. A", "a.example. 1 IN A 10.0.0.1")
	r := &resolver{servers: []string{free.Addr().String(), broken.addr, good.addr}}
	answer, err := r.query(t.Context(), "a.example.", dnslib.TypeA)
	if err != nil || len(answer.Answer) != 1 || broken.count("udp a.example. A") != 1 {
		t.Errorf("%v, %v", answer, err)
	}
	r.servers = r.servers[:1]
	if _, err := r.query(t.Context(), "a.example.", dnslib.TypeA); err == nil || err.Error() != "the resolver "+r.servers[0]+": read: connection refused" {
		t.Error(err)
	}
}

func TestSystemsResolver(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "resolv.conf")
	if _, err := newResolver("", file); err == nil || err.Error() != file+" cannot be read: open "+file+": no such file or directory" {
		t.Error(err)
	}
	for text, want := range map[string][]string{
		"nameserver 10.0.0.1\nnameserver fd00::1\n":                                                 {"10.0.0.1:53", "[fd00::1]:53"},
		"nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n# end": {"10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"},
		"search example\n": nil,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := newResolver("", file)
		switch {
		case want == nil:
			if err == nil || err.Error() != file+" names no DNS server" {
				t.Errorf("%q: %v", text, err)
			}
		case err != nil || !slices.Equal(r.servers, want):
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
}
