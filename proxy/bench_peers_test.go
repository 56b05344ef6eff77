package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// peersVariable, if it is set, makes the test binary the process of the clients and the server of BenchmarkRequest: all CPU of the other
// process is the proxy's then, and the proxy wakes no goroutines of its own process.
const peersVariable = "TETHER_BENCHMARK_PEERS"

// peers is that process, seen from the benchmark.
type peers struct {
	address string // of the server
	in      io.Writer
	out     *bufio.Reader
}

// startPeers starts the process, which ends with the benchmark.
func startPeers(b *testing.B) *peers {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), peersVariable+"=1"), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	p := &peers{in: in, out: bufio.NewReader(out)}
	p.address = p.line(b)
	return p
}

// ask makes clients send n requests to addr together, each after its last answer. The clients keep their connections for the next call.
func (p *peers) ask(b *testing.B, addr string, clients, n int) {
	b.Helper()
	fmt.Fprintln(p.in, addr, clients, n)
	if s := p.line(b); s != "done" {
		b.Fatal(s)
	}
}

func (p *peers) line(b *testing.B) string {
	b.Helper()
	s, err := p.out.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(s)
}

// bePeers is that process. It ends with its standard input.
func bePeers() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go answerAll(l)
	fmt.Println(l.Addr())
	open := map[string][]net.Conn{}
	for {
		var addr string
		var clients, n int
		if _, err := fmt.Scanln(&addr, &clients, &n); err != nil {
			return
		}
		if err := askAll(addr, clients, n, open); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("done")
	}
}

// askAll makes clients send n requests to addr. open has the connections to each address.
func askAll(addr string, clients, n int, open map[string][]net.Conn) error {
	for len(open[addr]) < clients {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		open[addr] = append(open[addr], c)
	}
	var all sync.WaitGroup
	failed := make(chan error, clients)
	for i, c := range open[addr][:clients] {
		all.Go(func() {
			buf := make([]byte, 64<<10)
			for range (n + clients - 1 - i) / clients {
				if _, err := c.Write(benchmarkRequest); err != nil {
					failed <- err
					return
				}
				if err := readMessage(c, buf, benchmarkAnswerBody); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

// answerAll answers every request.
func answerAll(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 64<<10)
			for readMessage(c, buf, len(benchmarkBody)) == nil {
				if _, err := c.Write(benchmarkAnswer); err != nil {
					return
				}
			}
		}()
	}
}

// readMessage reads a head and a body of that size.
func readMessage(c net.Conn, buf []byte, body int) error {
	for n := 0; ; {
		k, err := c.Read(buf[n:])
		if err != nil {
			return err
		}
		n += k
		if end := bytes.Index(buf[:n], []byte("\r\n\r\n")); end > 0 && n >= end+4+body {
			return nil
		}
	}
}

// What the peers send.
const benchmarkAnswerBody = 1000

var (
	benchmarkBody    = `{"model":"tiny","messages":[{"role":"user","content":"` + strings.Repeat("The quick brown fox. ", 92) + `"}]}`
	benchmarkRequest = []byte(post(chatPath, benchmarkBody, "Authorization: Bearer sk-0123456789", "User-Agent: OpenAI/Go 3.95.0", "X-Stainless-Lang: go", "X-Stainless-Os: Linux"))
	benchmarkAnswer  = []byte(ok(strings.Repeat("y", benchmarkAnswerBody)))
)
