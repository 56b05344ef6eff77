package status

import (
	"errors"
	"sync"
	"sync/atomic"
)

// MaxPages is the greatest number of pages that are open at a time.
const MaxPages = 100

// ErrTooManyPages says that MaxPages pages are open.
var ErrTooManyPages = errors.New("too many status pages are open: close some, or try again later")

// pages are the open pages. The zero value has none.
type pages struct {
	n      atomic.Int32
	mu     sync.Mutex
	open   map[*Page]bool // guarded by mu
	closed bool           // guarded by mu
}

// Page is an open page. Its caller ends it with Close.
type Page struct {
	// Snapshots receives each snapshot as JSON, which the receiver must not change. It is closed when tether stops, or because the page has not
	// received one before the next one came.
	Snapshots <-chan []byte
	snapshots chan []byte
	all       *pages
}

// add opens a page.
func (p *pages) add() (*Page, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open) >= MaxPages {
		return nil, ErrTooManyPages
	}
	// One snapshot may wait while the page is busy with another one.
	page := &Page{snapshots: make(chan []byte, 1), all: p}
	page.Snapshots = page.snapshots
	if p.closed {
		close(page.snapshots)
		return page, nil
	}
	if p.open == nil {
		p.open = map[*Page]bool{}
	}
	p.open[page] = true
	p.n.Store(int32(len(p.open)))
	return page, nil
}

// Close ends the page.
func (p *Page) Close() {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	p.all.removeLocked(p)
}

// removeLocked closes an open page. p.mu is held.
func (p *pages) removeLocked(page *Page) {
	if p.open[page] {
		delete(p.open, page)
		close(page.snapshots)
		p.n.Store(int32(len(p.open)))
	}
}

// send gives a snapshot to all pages, and closes those that are slow.
func (p *pages) send(snapshot []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for page := range p.open {
		select {
		case page.snapshots <- snapshot:
		default:
			p.removeLocked(page)
		}
	}
}

// end closes all pages, and those that are opened later.
func (p *pages) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for page := range p.open {
		p.removeLocked(page)
	}
}
