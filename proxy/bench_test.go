package proxy

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"golang.org/x/sys/unix"

	"tether/session/balance"
	"tether/session/pins"
	"tether/units"
)

// cpu is the process's user and system time, in ns.
func cpu(b *testing.B) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkRequest is one request of 2 KB with an answer of 1 KB, keep-alive: of 16 clients at the same time, also without placement by load, and
// of one client. Clients and server are another process, so the CPU and the allocations are those of the proxy alone.
func BenchmarkRequest(b *testing.B) {
	p := startPeers(b)
	through := func(by balance.Placement) string {
		r := newRig(b, []string{"http://" + p.address}, func(r *rig) { r.pinning, r.routing.Balance.Placement = pins.Default(), by })
		r.proxy.onDone = nil
		return r.addr
	}
	byLoad, byRing := through(balance.Load), through(balance.Home)
	for _, of := range []struct {
		name, addr string
		clients    int
	}{{"16 clients", byLoad, 16}, {"16 clients by the ring", byRing, 16}, {"1 client", byLoad, 1}} {
		b.Run(of.name, func(b *testing.B) {
			p.ask(b, of.addr, of.clients, 100*of.clients)
			b.ReportAllocs()
			before := cpu(b)
			b.ResetTimer()
			p.ask(b, of.addr, of.clients, b.N)
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
