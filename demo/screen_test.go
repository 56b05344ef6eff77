package demo

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// terminal emulates a terminal for what the screen sends: lines, cursor up, and clear from the start of the line.
type terminal struct {
	lines []string
	line  string // the line of the cursor, not ended yet
}

var clearFrom = regexp.MustCompile(`(?:\x1b\[(\d+)A)?\r\x1b\[J`)

func (m *terminal) Write(p []byte) (int, error) {
	text := string(p)
	for at := clearFrom.FindStringSubmatchIndex(text); at != nil; at = clearFrom.FindStringSubmatchIndex(text) {
		m.print(text[:at[0]])
		m.line = ""
		if at[2] >= 0 {
			up, err := strconv.Atoi(text[at[2]:at[3]])
			if err != nil {
				return 0, err
			}
			m.lines = m.lines[:len(m.lines)-up]
		}
		text = text[at[1]:]
	}
	m.print(text)
	return len(p), nil
}

func (m *terminal) print(text string) {
	for piece := range strings.Lines(text) {
		m.line += piece
		if ended, is := strings.CutSuffix(m.line, "\n"); is {
			m.lines, m.line = append(m.lines, ended), ""
		}
	}
}

func (m *terminal) shows(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Join(append(m.lines[:len(m.lines):len(m.lines)], m.line), "\n"); got != strings.Join(want, "\n")+"\n" {
		t.Errorf("the terminal shows\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestScreenRedraws(t *testing.T) {
	m := &terminal{}
	s := newScreen(&Config{Out: m, Columns: func() int { return 12 }})
	s.printLines("hello")
	s.setTable([]string{"table", "1"})
	m.shows(t, "hello", "table", "1")
	s.setTable([]string{"table", "longer than the terminal", "2"})
	m.shows(t, "hello", "table", "longer than", "2")
	s.printLines("an event")
	m.shows(t, "hello", "an event", "table", "longer than", "2")
	if _, err := s.Write([]byte("a warning\n")); err != nil {
		t.Error(err)
	}
	s.setTable([]string{"table", "3"})
	m.shows(t, "hello", "an event", "a warning", "table", "3")
	s.setTable(nil)
	m.shows(t, "hello", "an event", "a warning")
	s.setTable([]string{"table", "4"})
	m.print("^C") // the terminal prints it
	s.keepTable()
	s.printLines("stopped")
	m.shows(t, "hello", "an event", "a warning", "table", "4", "stopped")
}

// Without a terminal the output is plain lines, and the table now and then.
func TestScreenPlain(t *testing.T) {
	var out strings.Builder
	s := newScreen(&Config{Out: &out})
	s.printLines("hello")
	s.setTable([]string{"table"})
	s.setTable(nil)
	if out.String() != "hello\n" {
		t.Errorf("%q", out.String())
	}
	s.reprint = time.Hour
	s.setTable([]string{"too early"})
	s.printed = s.printed.Add(-2 * time.Hour)
	s.setTable([]string{"table"})
	s.setTable([]string{"too early"})
	s.printLines("bye")
	if want := "hello\ntable\nbye\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// What is logged while it is held stands below the lines of release.
func TestHeldLines(t *testing.T) {
	m := &terminal{}
	s := newScreen(&Config{Out: m})
	s.hold()
	_, _ = s.Write([]byte("held\n"))
	s.release("first", "second")
	_, _ = s.Write([]byte("later\n"))
	m.shows(t, "first", "second", "held", "later")
}
