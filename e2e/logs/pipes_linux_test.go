package logs

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pipe is a pipe that has one of tether's logs.
type pipe struct {
	t    *testing.T
	r, w *os.File
	ends chan error // has the error that ended reading

	mu    sync.Mutex
	lines []line // guarded by mu
}

// line is what these tests look at in a line of either log.
type line struct {
	Message   string `json:"msg"`
	Log       string
	Lines     int
	From, To  string
	Upstream  string
	RequestID string `json:"request_id"`
}

// filler is a line that is not tether's.
const filler = "\"filler\"\n"

// newPipe returns a pipe that is not read yet.
func newPipe(t *testing.T) *pipe {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return &pipe{t: t, r: r, w: w, ends: make(chan error, 1)}
}

// fullPipe returns a pipe that is full.
func fullPipe(t *testing.T) *pipe {
	t.Helper()
	p := newPipe(t)
	fd := int(p.w.Fd())
	block := func(block bool) {
		if err := syscall.SetNonblock(fd, !block); err != nil {
			t.Fatal(err)
		}
	}
	block(false)
	defer block(true)
	for _, text := range [][]byte{bytes.Repeat([]byte(filler), 100), []byte(filler), []byte(" ")} {
		for {
			if _, err := syscall.Write(fd, text); errors.Is(err, syscall.EAGAIN) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	return p
}

// read begins to read the pipe.
func (p *pipe) read() {
	p.w.Close() // tether has the other one
	go func() {
		var err error
		for in := bufio.NewReader(p.r); err == nil; {
			err = p.next(in)
		}
		p.ends <- err
	}()
}

// next reads a line. It must be a whole JSON value.
func (p *pipe) next(in *bufio.Reader) error {
	text, err := in.ReadBytes('\n')
	if len(bytes.TrimSpace(text)) == 0 || bytes.HasSuffix(text, []byte(filler)) {
		return err
	}
	var l line
	if wrong := json.Unmarshal(text, &l); wrong != nil || err != nil {
		return fmt.Errorf("%w: the log has a line that is not whole: %q", errors.Join(wrong, err), text)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, l)
	return nil
}

// await waits until a line has been read.
func (p *pipe) await(what string, is func(line) bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		p.mu.Lock()
		for i := range p.lines {
			if is(p.lines[i]) {
				p.mu.Unlock()
				return
			}
		}
		p.mu.Unlock()
	}
	p.t.Fatalf("no line about %s", what)
}

// all returns all lines, once tether has ended.
func (p *pipe) all() []line {
	p.t.Helper()
	select {
	case err := <-p.ends:
		if err != io.EOF {
			p.t.Fatal(err)
		}
	case <-time.After(patience):
		p.t.Fatal("the log has no end")
	}
	return p.lines
}

func isLossOf(log string) func(line) bool {
	return func(l line) bool { return l.Message == "log lines dropped" && l.Log == log }
}

// losses returns how many lines of a log were reported as dropped, and in how many reports.
func losses(lines []line, log string) (dropped, reports int) {
	for _, l := range lines {
		if isLossOf(log)(l) {
			dropped += l.Lines
			reports++
		}
	}
	return dropped, reports
}

// checkOrder checks that the lines of each client are in the order of its requests.
func checkOrder(t *testing.T, lines []line) {
	t.Helper()
	last := map[string]int{}
	for _, l := range lines {
		client, rest, _ := strings.Cut(l.RequestID, ".")
		digits, _, _ := strings.Cut(rest, ".")
		n, err := strconv.Atoi(digits)
		if err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		if before, is := last[client]; is && n <= before {
			t.Fatalf("client %s: line %d follows line %d", client, n, before)
		}
		last[client] = n
	}
}

// checkChanges checks that each line about a change of an upstream follows the line about its previous change, except where a
// loss is reported.
func checkChanges(t *testing.T, lines []line) {
	t.Helper()
	states := map[string]string{}
	for i, l := range lines {
		switch before, known := states[l.Upstream]; {
		case isLossOf("app")(l):
			clear(states)
		case l.Message != "upstream changed":
		case known && l.From != before:
			t.Fatalf("line %d: from %s, but the upstream was %s", i, l.From, before)
		default:
			states[l.Upstream] = l.To
		}
	}
}
