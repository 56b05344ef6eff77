package demo

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// screen prints lines, and below them the table. On a terminal the table is redrawn in place. Its methods may be called from any
// goroutine.
type screen struct {
	out     io.Writer
	columns func() int
	reprint time.Duration // the time between two tables where out is no terminal; 0 is never

	mu      sync.Mutex
	table   []string  // guarded by mu
	drawn   int       // guarded by mu; lines of the table that stand on the terminal
	printed time.Time // guarded by mu; when the table was printed last where out is no terminal
	holding bool      // guarded by mu; what is logged waits in held
	held    []string  // guarded by mu
}

func newScreen(cfg *Config) *screen {
	columns := cfg.Columns
	if columns == nil {
		columns = func() int { return 0 }
	}
	return &screen{out: cfg.Out, columns: columns, reprint: cfg.Pace.Reprint, printed: time.Now()}
}

// printLines prints lines above the table.
func (s *screen) printLines(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.redrawLocked(lines)
}

// Write prints what tether logs, unless it is held.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := strings.TrimSuffix(string(p), "\n")
	if s.holding {
		s.held = append(s.held, line)
	} else {
		s.redrawLocked([]string{line})
	}
	return len(p), nil
}

// hold keeps what tether logs until release.
func (s *screen) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holding = true
}

// release prints lines, and then what was held.
func (s *screen) release(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.redrawLocked(append(lines, s.held...))
	s.holding, s.held = false, nil
}

// setTable replaces the table. No lines remove it.
func (s *screen) setTable(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table = lines
	switch {
	case s.columns() > 0:
		s.redrawLocked(nil)
	case len(lines) > 0 && s.reprint > 0 && time.Since(s.printed) >= s.reprint:
		s.printed = time.Now()
		s.redrawLocked(lines)
	}
}

// keepTable leaves the table on the terminal as it is. Whatever is printed next stands below it.
func (s *screen) keepTable() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drawn > 0 {
		_, _ = io.WriteString(s.out, "\r\x1b[J") // erases the ^C of the terminal
	}
	s.table, s.drawn = nil, 0
}

// redrawLocked erases the table, prints lines, and draws the table below them. A line of the table that the terminal would wrap
// is cut, because it would count as two lines when the table is erased.
func (s *screen) redrawLocked(lines []string) {
	var b bytes.Buffer
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r\x1b[J", s.drawn)
	}
	for _, line := range lines {
		b.WriteString(line + "\n")
	}
	s.drawn = 0
	if width := s.columns(); width > 0 {
		for _, line := range s.table {
			fmt.Fprintf(&b, "%.*s\n", width-1, line)
		}
		s.drawn = len(s.table)
	}
	_, _ = s.out.Write(b.Bytes()) // the demo goes on without a reader
}
