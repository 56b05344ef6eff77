package demo

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// terminal understands what the screen sends: lines, cursor up, and clear from the beginning of the line.
type terminal struct {
	lines []string
	line  string // unended, where the cursor is
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
	s.say("hello")
	s.show([]string{"table", "1"})
	m.shows(t, "hello", "table", "1")
	s.show([]string{"table", "longer than the terminal", "2"})
	m.shows(t, "hello", "table", "longer than", "2")
	s.say("an event")
	m.shows(t, "hello", "an event", "table", "longer than", "2")
	if _, err := s.Write([]byte("a warning\n")); err != nil {
		t.Error(err)
	}
	s.show([]string{"table", "3"})
	m.shows(t, "hello", "an event", "a warning", "table", "3")
	s.clear()
	m.shows(t, "hello", "an event", "a warning")
	s.show([]string{"table", "4"})
	m.print("^C") // by the terminal
	s.leave()
	s.say("stopped")
	m.shows(t, "hello", "an event", "a warning", "table", "4", "stopped")
}

// Elsewhere than on a terminal there are plain lines, and the table now and then.
func TestScreenPlain(t *testing.T) {
	var out strings.Builder
	s := newScreen(&Config{Out: &out})
	s.say("hello")
	s.show([]string{"table"})
	s.clear()
	if out.String() != "hello\n" {
		t.Errorf("%q", out.String())
	}
	s.reprint = time.Hour
	s.show([]string{"too early"})
	s.printed = s.printed.Add(-2 * time.Hour)
	s.show([]string{"table"})
	s.show([]string{"too early"})
	s.say("bye")
	if want := "hello\ntable\nbye\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
