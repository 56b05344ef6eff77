package demo

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// screen prints lines that stay, and beneath them a table that is drawn over the one before where out is a terminal. It
// uses no colours. Its methods may be called from any goroutine.
type screen struct {
	out     io.Writer
	columns func() int
	reprint time.Duration // the time from table to table where out is no terminal; 0 is never

	mu      sync.Mutex
	table   []string  // guarded by mu; what stands beneath
	drawn   int       // guarded by mu; its lines on the terminal
	printed time.Time // guarded by mu; when it was printed last elsewhere
}

func newScreen(cfg *Config) *screen {
	columns := cfg.Columns
	if columns == nil {
		columns = func() int { return 0 }
	}
	return &screen{out: cfg.Out, columns: columns, reprint: cfg.Pace.Reprint, printed: time.Now()}
}

// say prints lines above the table.
func (s *screen) say(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	s.eraseLocked(&b)
	for _, line := range lines {
		b.WriteString(line + "\n")
	}
	s.drawLocked(&b)
	_, _ = s.out.Write(b.Bytes()) // who does not look need not be told
}

// Write says what tether has to say: it is where a logger writes.
func (s *screen) Write(p []byte) (int, error) {
	s.say(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// show makes lines the table.
func (s *screen) show(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	s.table = lines
	if s.columns() > 0 {
		s.eraseLocked(&b)
		s.drawLocked(&b)
	} else if s.reprint > 0 && time.Since(s.printed) >= s.reprint {
		s.printed = time.Now()
		b.WriteString(strings.Join(lines, "\n") + "\n")
	}
	_, _ = s.out.Write(b.Bytes())
}

// clear takes the table away.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table = nil
	var b bytes.Buffer
	s.eraseLocked(&b)
	_, _ = s.out.Write(b.Bytes())
}

// leave lets the table stand as it is: what is said next comes below it.
func (s *screen) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drawn > 0 {
		_, _ = io.WriteString(s.out, "\r\x1b[J") // over the ^C that a terminal shows
	}
	s.table, s.drawn = nil, 0
}

// eraseLocked goes up to the table's first line, and clears the terminal from there.
func (s *screen) eraseLocked(b *bytes.Buffer) {
	if s.drawn > 0 {
		fmt.Fprintf(b, "\x1b[%dA\r\x1b[J", s.drawn)
	}
	s.drawn = 0
}

// drawLocked draws the table. A line that the terminal would wrap is cut: it would be two lines to go up.
func (s *screen) drawLocked(b *bytes.Buffer) {
	width := s.columns()
	if width <= 0 {
		return
	}
	for _, line := range s.table {
		b.WriteString(cut(line, width-1) + "\n")
	}
	s.drawn = len(s.table)
}

func cut(line string, width int) string {
	if r := []rune(line); len(r) > width {
		return string(r[:max(width, 0)])
	}
	return line
}
