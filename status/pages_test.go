package status

import (
	"errors"
	"slices"
	"sync"
	"testing"
)

// A page that does not take a snapshot before the next one is closed. The others are not.
func TestSlowPagesAreClosed(t *testing.T) {
	var p pages
	slow, fast := mustAdd(t, &p), mustAdd(t, &p)
	for range 3 {
		p.send([]byte("x"))
		if _, open := <-fast.Snapshots; !open {
			t.Fatal("the fast page is closed")
		}
	}
	if _, open := <-slow.Snapshots; !open {
		t.Error("the slow page has not got its first snapshot")
	}
	if _, open := <-slow.Snapshots; open || p.n.Load() != 1 {
		t.Errorf("the slow page is open, %d in all", p.n.Load())
	}
	slow.Close() // once more
	fast.Close()
	if p.n.Load() != 0 {
		t.Errorf("%d pages are open", p.n.Load())
	}
}

// The number of pages is limited, and the end closes all of them.
func TestPagesAreLimited(t *testing.T) {
	var p pages
	open := make([]*Page, MaxPages)
	for i := range open {
		open[i] = mustAdd(t, &p)
	}
	if _, err := p.add(); !errors.Is(err, ErrTooManyPages) {
		t.Errorf("one page more: %v", err)
	}
	open[0].Close()
	open[0] = mustAdd(t, &p)
	p.end()
	for _, page := range slices.Concat(open, []*Page{mustAdd(t, &p)}) {
		if _, is := <-page.Snapshots; is {
			t.Fatal("a page is open after the end")
		}
		page.Close()
	}
}

// Pages come and go while snapshots are sent, and while all ends.
func TestPagesAtOnce(t *testing.T) {
	var p pages
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				page, err := p.add()
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case <-page.Snapshots:
				default:
				}
				page.Close()
			}
		})
	}
	all.Go(func() {
		for range 200 {
			p.send([]byte("x"))
		}
		p.end()
	})
	all.Wait()
	if p.n.Load() != 0 {
		t.Errorf("%d pages are open", p.n.Load())
	}
}

func mustAdd(t *testing.T, p *pages) *Page {
	t.Helper()
	page, err := p.add()
	if err != nil {
		t.Fatal(err)
	}
	return page
}
