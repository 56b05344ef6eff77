package proxy

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tether/session/balance"
	"tether/session/pins"
	"tether/units"
)

// fixed is a server that answers every request of size bytes with answer, and allocates nothing for it.
func fixed(b *testing.B, head int, answer []byte) net.Listener {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	serve := func(c net.Conn) {
		defer c.Close()
		buf := make([]byte, 64<<10)
		n := 0
		for {
			k, err := c.Read(buf[n:])
			if err != nil {
				return
			}
			n += k
			end := bytes.Index(buf[:n], []byte("\r\n\r\n"))
			if end < 0 || n < end+4+head {
				continue
			}
			n = 0
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	b.Cleanup(func() { l.Close() })
	return l
}

// cpu is the process's user and system time, in ns.
func cpu(b *testing.B) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkRequest is one request of 2 KB with an answer of 1 KB, keep-alive: through the proxy, also without placement by load, and as a direct
// call in the same process. Client and server allocate nothing, so the allocations are the proxy's; its CPU is the
// difference of the two.
func BenchmarkRequest(b *testing.B) {
	body := `{"model":"tiny","messages":[{"role":"user","content":"` + strings.Repeat("The quick brown fox. ", 92) + `"}]}`
	request := []byte(post(chatPath, body, "Authorization: Bearer sk-0123456789", "User-Agent: OpenAI/Go 3.95.0", "X-Stainless-Lang: go", "X-Stainless-Os: Linux"))
	answer := []byte(ok(strings.Repeat("y", 1000)))
	server := fixed(b, len(body), answer)
	through := func(p balance.Placement) string {
		r := newRig(b, []string{"http://" + server.Addr().String()}, func(r *rig) { r.pinning, r.routing.Balance.Placement = pins.Default(), p })
		r.proxy.onDone = nil
		return r.addr
	}
	for name, addr := range map[string]string{"direct": server.Addr().String(), "proxy": through(balance.Load), "by the ring": through(balance.Home)} {
		b.Run(name, func(b *testing.B) {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			buf := make([]byte, 64<<10)
			turn := func() {
				if _, err := c.Write(request); err != nil {
					b.Fatal(err)
				}
				for n := 0; ; {
					k, err := c.Read(buf[n:])
					if err != nil && err != io.EOF {
						b.Fatal(err)
					}
					n += k
					if end := bytes.Index(buf[:n], []byte("\r\n\r\n")); end > 0 && n >= end+4+1000 {
						return
					}
				}
			}
			turn()
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				turn()
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkUpload is a body of 64 MiB on its way through the proxy, to a server that answers once it has the whole body.
func BenchmarkUpload(b *testing.B) {
	const size = 64 << 20
	body := bytes.Repeat([]byte("The quick brown fox. "), size/21+1)[:size]
	r := newRig(b, []string{discarding(b)}, func(r *rig) { r.cfg.MaxBodyTotal = units.Share{Bytes: size} })
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"length":  func(r io.Reader) io.Reader { return r },
		"chunked": func(r io.Reader) io.Reader { return io.MultiReader(r) }, // of unknown length
	} {
		b.Run(name, func(b *testing.B) {
			client := http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			b.SetBytes(size)
			b.ReportAllocs()
			before := cpu(b)
			for b.Loop() {
				res, err := client.Post("http://"+r.addr+"/v1/embeddings", "application/json", wrap(bytes.NewReader(body)))
				if err != nil {
					b.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode != 200 {
					b.Fatal(res.StatusCode)
				}
			}
			b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}
