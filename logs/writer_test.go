package logs

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests. No wait is expected to take so long.
const patience = 30 * time.Second

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// report is the text that stands for a loss in these tests.
func report(l Loss) []byte { return fmt.Appendf(nil, "lost %d\n", l.Lines) }

// line returns line n, of about a kilobyte.
func line(n int) []byte { return fmt.Appendf(nil, "%d %s\n", n, strings.Repeat("x", 1000)) }

// checkLines reads lines until n lines are read or reported as lost. The lines must be whole and in order.
func checkLines(t testing.TB, from *bufio.Reader, n int) (lost int) {
	t.Helper()
	for next := 0; next < n; {
		text, err := from.ReadString('\n')
		if err != nil {
			t.Fatalf("after line %d: %v", next, err)
		}
		var gap int
		switch {
		case text == string(line(next)):
			next++
		case strings.HasPrefix(text, "lost "):
			_, _ = fmt.Sscanf(text, "lost %d\n", &gap)
			lost += gap
			next += gap
		default:
			t.Fatalf("received %.20q... of %d bytes, want line %d", text, len(text), next)
		}
	}
	return lost
}

// Write returns at once although the pipe is not read. Once it is read again, the queued lines follow in order, then the
// report, then new lines.
func TestStalledPipe(t *testing.T) {
	r, out := pipe(t)
	w := Start(out, time.Millisecond)
	w.OnLoss(report)
	const lines = 8000 // the queue has space for about half of them
	for i := range lines {
		_, _ = w.Write(line(i))
	}
	if d := w.Dropped(); d < lines/3 || d > lines/2 {
		t.Errorf("%d of %d lines dropped, want those beyond 4 MiB", d, lines)
	}
	in := bufio.NewReader(r)
	if lost := checkLines(t, in, lines); uint64(lost) != w.Dropped() {
		t.Errorf("%d lines reported as lost, %d counted", lost, w.Dropped())
	}
	_, _ = w.Write([]byte("next\n"))
	if text, err := in.ReadString('\n'); text != "next\n" {
		t.Errorf("%q, %v after the loss", text, err)
	}
	if !w.Close(patience) {
		t.Error("lines are left")
	}
}

// Whatever a reader's pace is, each line arrives in order or is counted.
func TestEveryLineIsAccountedFor(t *testing.T) {
	r, out := pipe(t)
	w := Start(out, time.Millisecond)
	w.OnLoss(report)
	const lines = 50_000
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range lines {
			_, _ = w.Write(line(i))
		}
	}()
	lost := checkLines(t, bufio.NewReaderSize(r, 100<<10), lines)
	<-written
	if uint64(lost) != w.Dropped() {
		t.Errorf("%d lines reported as lost, %d counted", lost, w.Dropped())
	}
	t.Logf("%d of %d lines lost", lost, lines)
	w.Close(patience)
}

func TestWritersAreConcurrent(t *testing.T) {
	r, out := pipe(t)
	w := Start(out, 0)
	var all sync.WaitGroup
	const callers, lines = 8, 200
	for c := range callers {
		all.Go(func() {
			for i := range lines {
				fmt.Fprintf(w, "%d %d\n", c, i)
			}
		})
	}
	var next [callers]int
	for in := bufio.NewReader(r); next != [callers]int{lines, lines, lines, lines, lines, lines, lines, lines}; {
		text, err := in.ReadString('\n')
		var c, i int
		if _, scanned := fmt.Sscanf(text, "%d %d\n", &c, &i); err != nil || scanned != nil || i != next[c] {
			t.Fatalf("received %q, want a line of %v; %v", text, next, err)
		}
		next[c]++
	}
	all.Wait()
	w.Close(patience)
}

// disk accepts bytes while it has free ones.
type disk struct {
	mu   sync.Mutex
	free int          // guarded by mu
	text bytes.Buffer // guarded by mu
}

func (d *disk) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(b), d.free)
	d.free -= n
	d.text.Write(b[:n])
	if n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// written returns the length of what was written, once the Writer of the bubble waits.
func (d *disk) written() int {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Len()
}

// A line for which the disk had only a part of the space is completed once there is more.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{free: 5500}
		w := Start(d, 0)
		const lines = 20
		for i := range lines {
			_, _ = w.Write(line(i))
		}
		if n := d.written(); n != 5500 {
			t.Errorf("%d bytes written, want what is free", n)
		}
		d.mu.Lock()
		d.free = 1 << 20
		d.mu.Unlock()
		time.Sleep(retryInterval)
		d.written()
		w.Close(patience)
		checkLines(t, bufio.NewReader(&d.text), lines)
		if n := w.Dropped(); n != 0 {
			t.Errorf("%d lines dropped", n)
		}
	})
}

// The next reader of a named pipe goes on where the first one left.
func TestReaderIsReplaced(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(flag int) *os.File {
		f, err := os.OpenFile(name, flag|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	first := open(os.O_RDONLY)
	out := open(os.O_WRONLY)
	w := Start(out, 0)
	const lines = 200
	for i := range lines {
		_, _ = w.Write(line(i))
	}
	awaitStall(t, out)
	first.Close()
	checkLines(t, bufio.NewReader(open(os.O_RDONLY)), lines)
	if d := w.Dropped(); d != 0 {
		t.Errorf("%d lines dropped", d)
	}
	w.Close(patience)
}

// awaitStall waits until a pipe accepts nothing more.
func awaitStall(t testing.TB, out *os.File) {
	t.Helper()
	raw, err := out.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		ready := 0
		_ = raw.Control(func(fd uintptr) {
			ready, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
		})
		if err == nil && ready == 0 {
			return
		}
	}
	t.Fatalf("the pipe is not full; %v", err)
}

// Close does not wait for a reader beyond its limit, and not at all for a file that fails for good.
func TestCloseHasALimit(t *testing.T) {
	t.Run("stalled", func(t *testing.T) {
		r, out := pipe(t)
		w := Start(out, 0)
		for i := range 100 {
			_, _ = w.Write(line(i))
		}
		if w.Close(10 * time.Millisecond) {
			t.Error("more lines were written than the pipe can hold")
		}
		r.Close() // ends the goroutine
		<-w.ended
	})
	t.Run("no reader", func(t *testing.T) {
		r, out := pipe(t)
		r.Close()
		w := Start(out, 0)
		_, _ = w.Write(line(0))
		closesAtOnce(t, w)
	})
	t.Run("full", func(t *testing.T) {
		out, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skip(err)
		}
		defer out.Close()
		w := Start(out, 0)
		_, _ = w.Write(line(0))
		closesAtOnce(t, w)
	})
	t.Run("not blocking", func(t *testing.T) {
		r, out := pipe(t)
		if err := syscall.SetNonblock(int(out.Fd()), true); err != nil { // behind the back of package os, as another process may do
			t.Fatal(err)
		}
		w := Start(out, 0)
		const lines = 200
		for i := range lines {
			_, _ = w.Write(line(i))
		}
		awaitStall(t, out)
		read := make(chan error, 1)
		go func() {
			_, err := io.ReadFull(r, make([]byte, lines*len(line(100))))
			read <- err
		}()
		if !w.Close(patience) {
			t.Error("lines are left although the pipe was read")
		}
		out.Close()
		if err := <-read; err != nil && err != io.ErrUnexpectedEOF { // the first lines have fewer digits
			t.Error(err)
		}
	})
}

func closesAtOnce(t *testing.T, w *Writer) {
	t.Helper()
	began := time.Now()
	if w.Close(patience) {
		t.Error("the line counts as written")
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("took %v", took)
	}
}

// Lines wait for others as long as gather says, and no longer.
func TestLinesAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{free: 1 << 30}
		w := Start(d, time.Second)
		_, _ = w.Write(line(0))
		time.Sleep(999 * time.Millisecond)
		_, _ = w.Write(line(1))
		if n := d.written(); n != 0 {
			t.Errorf("%d bytes written before the time", n)
		}
		time.Sleep(time.Millisecond)
		if n := d.written(); n != len(line(0))+len(line(1)) {
			t.Errorf("%d bytes written after a second, want two lines", n)
		}
		for i := range 100 { // more than a chunk does not wait
			_, _ = w.Write(line(i))
		}
		if n := d.written(); n < chunkSize/2 {
			t.Errorf("%d bytes written, want a chunk", n)
		}
		w.Close(patience)
	})
}

func TestAtomicLen(t *testing.T) {
	short, long := strings.Repeat("s", 99)+"\n", strings.Repeat("l", 5000)+"\n"
	for _, c := range []struct {
		lines string
		want  int
	}{
		{short, 100},
		{short + short, 200},
		{strings.Repeat(short, 41), 4000},
		{long, 5001},
		{long + short, 5001},
		{short + long, 100},
		{strings.Repeat("x", 5000), 5000},
		{"", 0},
	} {
		if got := atomicLen([]byte(c.lines)); got != c.want {
			t.Errorf("%d bytes of %d, want %d", got, len(c.lines), c.want)
		}
	}
}

func TestWriteDoesNotAllocate(t *testing.T) {
	w := Start(io.Discard, time.Hour)
	text := line(0)
	_, _ = w.Write(text)
	if n := testing.AllocsPerRun(50, func() { _, _ = w.Write(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	w.Close(patience)
}
