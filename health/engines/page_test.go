package engines

import (
	"strings"
	"testing"
)

// A page keeps the lines that are read and no others, however large it is and wherever its pieces end.
func TestPageKeepsLittle(t *testing.T) {
	const line = "vllm:num_requests_running{engine=\"0\"} 3.0\n"
	foreign := strings.Repeat("# HELP x y\nvllm:num_preemptions_total 1\nv\nvllm:num_requests_running_by_x 1\n", 1000)
	var p Page
	for _, size := range []int{1, 13, 4096} {
		p.Reset()
		for page := foreign + line + foreign + "vllm:num"; page != ""; page = page[min(size, len(page)):] {
			p.Write([]byte(page[:min(size, len(page))]))
		}
		if got := string(p.kept[:p.line]); got != line {
			t.Errorf("pieces of %d: %.200q", size, got)
		}
		if _, err := p.Engines(); err != ErrIncomplete || cap(p.kept) > 64<<10 {
			t.Errorf("%v, %d bytes", err, cap(p.kept))
		}
	}

	p.Reset()
	endless := []byte(strings.Repeat("x", 1<<16))
	for range 1000 {
		p.Write(endless)
	}
	p.Write([]byte(cacheInfo + "{a=\"")) // no line of its own
	if len(p.kept) != 0 || p.tooLarge {
		t.Errorf("%d bytes of an endless line", len(p.kept))
	}

	p.Reset()
	p.Write([]byte(cacheInfo + "{a=\""))
	for range 1000 {
		p.Write(endless)
	}
	if _, err := p.Engines(); err != ErrTooLarge || cap(p.kept) > 256<<10 {
		t.Errorf("%v, %d bytes", err, cap(p.kept))
	}
}

func TestSelectionNamesAllThatIsRead(t *testing.T) {
	for _, name := range names {
		if !strings.Contains(Selection, "name%5B%5D="+name) {
			t.Errorf("%s is missing in %s", name, Selection)
		}
	}
}
