package endurance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// wantedStreams are open at a time with -full, if the limit of descriptors allows so many: each takes two of tether, and two here.
	wantedStreams = 10_000
	fewStreams    = 400
	// spareDescriptors are for everything else.
	spareDescriptors = 600
	// burstClients is one in so many of the clients that stall: its server sends more than the sockets hold.
	burstClients = 100
	burst        = 4 << 20
	// openAtOnce is how many clients ask at the same time.
	openAtOnce = 64
	// beat is the time between two events of a stream.
	beat = 2 * time.Second
	// roundLimit bounds a round.
	roundLimit = 3 * time.Minute

	// tableMemory is what the first round leaves in the heap for each stream: tables that have grown, and with goroutines their records in
	// Go's runtime. Both are used again.
	tableMemory = 1 << 10
	// heapSlack and memorySlack are by how much the heap in use, after a collection, and the RSS may grow from round to round.
	heapSlack   = 1 << 20
	memorySlack = 16 << 20
)

// Thousands of streams are open at a time. Their clients leave, stall and return, in rounds. After each round tether has the descriptors,
// the goroutines and the heap that it had before, and no round takes more memory than the first two. (Go's runtime keeps some of the memory
// that the streams had, for the next ones.)
func TestEnduranceOfStreams(t *testing.T) {
	if testing.Short() {
		t.Skip("opens hundreds of streams")
	}
	n := fewStreams
	if *full {
		n = min(wantedStreams, (descriptorLimit(t)-spareDescriptors)/2)
	}
	needDescriptors(t, uint64(2*n+spareDescriptors))
	eachEngine(t, func(t *testing.T) {
		w := newStreams(t, n)
		w.round(min(n, 100)) // so that the pools, the buffers and the connections of probes are there
		w.leave()
		before := w.side.settled()
		heap, most := before.heap+int64(tableMemory*n), int64(0)
		rounds := 2
		if *full {
			rounds = 3
		}
		for i := range rounds {
			began := time.Now()
			open := w.round(n)
			w.leave()
			now := w.side.settled()
			t.Logf("round %d: %d streams in %v: %d KiB of RSS a stream; left: %d descriptors, %v goroutines, heap %d KiB, RSS %d MiB", i+1, n,
				time.Since(began).Round(time.Second), (open.rss-before.rss)>>10/int64(n), now.descriptors, now.goroutines, now.heap>>10, now.rss>>20)
			if now.heap > heap+heapSlack {
				t.Errorf("%d KiB are left in the heap, want at most %d", now.heap>>10, (heap+heapSlack)>>10)
			}
			if i > 1 && max(open.rss, now.rss) > most+memorySlack {
				t.Errorf("%d MiB of memory with the streams, %d after them, %d in the first rounds", open.rss>>20, now.rss>>20, most>>20)
			}
			if i == 0 {
				heap = now.heap
			}
			most = max(most, open.rss, now.rss)
		}
		t.Logf("before: %d descriptors, %v goroutines, heap %d KiB, RSS %d MiB", before.descriptors, before.goroutines, before.heap>>10, before.rss>>20)
		w.side.leftNothing(before)
	})
}

// streams are a tether, a server whose streams go on until the round ends, and clients.
type streams struct {
	t       *testing.T
	side    *side
	clients []*streamClient
	ended   atomic.Pointer[chan struct{}] // closed when the server is to end the streams of the round
}

// streamClient is a client that keeps its session, and its connection if that is open.
type streamClient struct {
	w *streams
	n int
	c net.Conn
	r *bufio.Reader
}

func newStreams(t *testing.T, n int) *streams {
	t.Helper()
	w := &streams{t: t}
	server := httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	server.Start()
	t.Cleanup(server.Close)
	w.side = newSide(t, 0, fmt.Sprintf("upstreams: [{ url: %q }]\nproxy: { max_in_flight: 20000 }\n", server.URL))
	w.side.wantEngine()
	for i := range n {
		w.clients = append(w.clients, &streamClient{w: w, n: i})
	}
	t.Cleanup(w.leave)
	return w
}

// serve is the handler of the server. The events of a stream are numbered.
func (w *streams) serve(out http.ResponseWriter, r *http.Request) {
	if r.Method == "GET" {
		fmt.Fprint(out, `{"object":"list","data":[]}`)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	out.Header().Set("Content-Type", "text/event-stream")
	n, stream := 0, http.NewResponseController(out)
	event := func(text string) bool {
		n++
		_, err := fmt.Fprintf(out, "data: %d %s\n\n", n, text)
		return err == nil && stream.Flush() == nil
	}
	ended, sent := *w.ended.Load(), event("first")
	if size, _ := strconv.Atoi(r.Header.Get("X-Burst")); size > 0 {
		for text := strings.Repeat("x", 8<<10); size > 0 && sent; size -= len(text) {
			sent = event(text)
		}
	}
	every := time.NewTicker(beat)
	defer every.Stop()
	for sent {
		select {
		case <-every.C:
			sent = event("beat")
		case <-ended:
			event("[DONE]")
			return
		case <-r.Context().Done():
			return
		}
	}
}

// round opens n streams, which are all open at the same time. Then a third of the clients leaves, a third stalls for a while, and a third
// reads on. Once the others have left, the server ends the streams of those that have not. open are the resources with all streams open.
func (w *streams) round(n int) (open resources) {
	w.t.Helper()
	ended, leaving := make(chan struct{}), make(chan struct{})
	w.ended.Store(&ended)
	var all, leavers sync.WaitGroup
	places := make(chan struct{}, openAtOnce)
	for _, c := range w.clients[:n] {
		all.Add(1)
		if c.leaves() {
			leavers.Add(1)
		}
		go func() {
			defer all.Done()
			places <- struct{}{}
			next, err := c.open()
			<-places
			if err == nil {
				<-leaving
				if c.leaves() {
					c.leave()
					leavers.Done()
					return
				}
				err = c.follow(next)
			} else if c.leaves() {
				leavers.Done()
			}
			if err != nil {
				w.t.Errorf("client %d: %v", c.n, err)
				c.leave()
			}
		}()
	}
	w.side.proxy.Await(w.t, "tether_requests_in_flight", roundLimit, func(now float64) bool { return now == float64(n) })
	time.Sleep(time.Second) // no synchronisation: what the streams hold is measured once their heads have left
	open = w.side.resources()
	close(leaving)
	leavers.Wait()
	rest := n - n/3
	w.side.proxy.Await(w.t, "tether_requests_in_flight", roundLimit, func(now float64) bool { return now <= float64(rest) })
	time.Sleep(2 * beat) // no synchronisation: the pace of the streams
	close(ended)
	all.Wait()
	return open
}

func (c *streamClient) leaves() bool { return c.n%3 == 0 }
func (c *streamClient) stalls() bool { return c.n%3 == 1 }

// open asks for a stream, on the connection that the client has or on a new one, and reads its first event.
func (c *streamClient) open() (next int, err error) {
	if c.c == nil {
		if c.c, err = dialer(streamClients, c.n).Dial("tcp", c.w.side.address); err != nil {
			return 0, err
		}
		c.r = bufio.NewReaderSize(c.c, 512)
	}
	_ = c.c.SetDeadline(time.Now().Add(roundLimit))
	size := 0
	if c.stalls() && c.n/3%burstClients == 0 {
		size = burst
	}
	const body = `{"model":"tiny","stream":true,"messages":[]}`
	if _, err = fmt.Fprintf(c.c, "%sX-Session-Id: stream-%d\r\nX-Burst: %d\r\nContent-Length: %d\r\n\r\n%s", chatHead, c.n, size, len(body), body); err != nil {
		return 0, err
	}
	line, err := c.r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 200 ") {
		return 0, fmt.Errorf("it received %q, %w", line, err)
	}
	if next, _, err = c.event(1); err != nil {
		return 0, err
	}
	return next, nil
}

// event reads up to the end of the next event, which must have the number n. last says that the stream has ended with it.
func (c *streamClient) event(n int) (next int, last bool, err error) {
	for {
		line, err := c.r.ReadSlice('\n')
		if err == bufio.ErrBufferFull { // of an event of a burst: its beginning has the number
			err = nil
		}
		if err != nil {
			return 0, false, err
		}
		rest, is := strings.CutPrefix(string(line), "data: ")
		if !is {
			continue // of the head, of the framing, or of a burst
		}
		number, text, _ := strings.Cut(rest, " ")
		if number != strconv.Itoa(n) {
			return 0, false, fmt.Errorf("event %s, want %d", number, n)
		}
		return n + 1, text == "[DONE]\n", nil
	}
}

// follow reads the stream to its end, after a while without reading if the client stalls.
func (c *streamClient) follow(next int) error {
	if c.stalls() {
		time.Sleep(beat) // no synchronisation: this is what the client does
	}
	for {
		var last bool
		var err error
		if next, last, err = c.event(next); err != nil {
			return err
		}
		if last {
			return c.framingEnds()
		}
	}
}

// framingEnds reads the last chunk, so that the connection can be used again.
func (c *streamClient) framingEnds() error {
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return err
		}
		if line == "0\r\n" {
			_, err = c.r.ReadString('\n')
			return err
		}
	}
}

// leave ends the connection: every second client by a reset.
func (c *streamClient) leave() {
	if c.c == nil {
		return
	}
	if c.n%2 == 0 {
		_ = c.c.(*net.TCPConn).SetLinger(0)
	}
	_ = c.c.Close()
	c.c = nil
}

// leave ends the connections of all clients. No round is under way.
func (w *streams) leave() {
	for _, c := range w.clients {
		c.leave()
	}
}

// settled waits until no client is connected and the connections to the server have ended, which tether keeps for 4 s, and returns the
// resources with the heap that is in use after a collection.
func (s *side) settled() resources {
	s.t.Helper()
	const quiet = 5 * time.Second
	least := s.descriptors()
	s.await("tether_client_connections", func(n float64) bool { return n == 0 })
	s.await("tether_requests_in_flight", func(n float64) bool { return n == 0 })
	for fell := time.Now(); time.Since(fell) < quiet; time.Sleep(100 * time.Millisecond) {
		if n := s.descriptors(); n < least {
			least, fell = n, time.Now()
		}
	}
	for range 3 { // pools are empty after two collections
		s.collect()
	}
	r := s.resources()
	r.heap = int64(s.metric("go_memstats_heap_alloc_bytes"))
	return r
}

// collect makes tether collect its garbage.
func (s *side) collect() {
	s.t.Helper()
	res, err := http.Get(s.proxy.Admin + "/debug/pprof/heap?gc=1")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != 200 {
		s.t.Fatal(res.StatusCode, err)
	}
}
