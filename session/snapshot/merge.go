package snapshot

import (
	"bufio"
	"container/heap"
	"io"

	"tether/session/pins"
)

// mergeBuffer is the buffer of each run while they are merged.
const mergeBuffer = 32 << 10

// merge calls each with all entries of the runs, the least recently used first.
func (s *File) merge(runs []run, each func(p *pins.Saved, index int)) error {
	var h cursors
	for _, r := range runs {
		c := &cursor{r: bufio.NewReaderSize(io.NewSectionReader(s.f, r.offset, int64(r.n)*entrySize), mergeBuffer), left: r.n}
		if err := c.next(); err != nil {
			return err
		}
		h = append(h, c)
	}
	heap.Init(&h)
	for len(h) > 0 {
		c := h[0]
		each(&c.pin, c.index)
		if c.left == 0 {
			heap.Pop(&h)
			continue
		}
		if err := c.next(); err != nil {
			return err
		}
		heap.Fix(&h, 0)
	}
	return nil
}

// cursor is the first entry of a run that was not taken yet.
type cursor struct {
	r     *bufio.Reader
	left  int // entries after pin
	buf   [entrySize]byte
	pin   pins.Saved
	index int
}

func (c *cursor) next() error {
	if _, err := io.ReadFull(c.r, c.buf[:]); err != nil {
		return err
	}
	c.left--
	c.pin, c.index = entry(c.buf[:])
	return nil
}

// cursors is a heap with the oldest entry on top.
type cursors []*cursor

func (c cursors) Len() int           { return len(c) }
func (c cursors) Less(i, j int) bool { return c[i].pin.Age > c[j].pin.Age }
func (c cursors) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }

// Push implements heap.Interface; runs are never added.
func (c *cursors) Push(x any) { *c = append(*c, x.(*cursor)) }

// Pop implements heap.Interface.
func (c *cursors) Pop() any {
	n := len(*c) - 1
	last := (*c)[n]
	*c = (*c)[:n]
	return last
}
