package health

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"tether/health/engines"
	"tether/upstream"
	"tether/upstream/load"
	"tether/upstream/transport"
)

// scraper reads what one server says of the load of its engines, while the server is up. It changes no verdict, and no probe waits for it.
type scraper struct {
	settings *atomic.Pointer[Config] // the monitor's
	server   *upstream.Server
	buf      []byte
	page     engines.Page
	whole    bool          // the server sends the whole page alone, no selection
	resume   time.Time     // no page is wanted before
	woken    chan struct{} // capacity 1: has an element after the health of the server or the settings changed
	trouble  trouble
}

const (
	// scrapeInterval is the time between two pages, give or take spread.
	scrapeInterval = time.Second
	// wholePause is the time from a whole page to the next one: it costs the server more, and figures count for longer.
	wholePause = 2 * time.Second
	// unreadablePause is the time from a page that cannot be read to the next one, which is most likely the same.
	unreadablePause = 30 * time.Second
	// maxMetricsBody limits a page, in bytes. Those of vLLM 0.32 have 50 KB, and some 40 KB for each further engine.
	maxMetricsBody = 8 << 20
)

func newScraper(settings *atomic.Pointer[Config], s *upstream.Server, warn func(string)) *scraper {
	return &scraper{
		settings: settings, server: s, buf: make([]byte, maxHead), woken: make(chan struct{}, 1), trouble: trouble{warn: warn},
	}
}

// run reads pages until ctx ends.
func (s *scraper) run(ctx context.Context) {
	page := time.NewTimer(0)
	defer page.Stop()
	for {
		if due := s.next(time.Now()); due.IsZero() {
			page.Stop()
		} else {
			page.Reset(time.Until(due))
		}
		select {
		case <-page.C:
			s.tick(ctx, s.settings.Load(), time.Now())
		case <-s.woken:
			s.forget(time.Now())
		case <-ctx.Done():
			return
		}
	}
}

// wake tells run that the health of the server or the settings have changed. It does not block.
func (s *scraper) wake() {
	select {
	case s.woken <- struct{}{}:
	default: // run has not seen the last change yet
	}
}

// wanted reports whether pages are to be read at all.
func (s *scraper) wanted(cfg *Config) bool {
	return cfg.MetricsPath != "" && s.server.State().Health() == upstream.Up
}

// next returns when the next page is due after one that ended at now, or the zero time for not before wake. Until then the scraper sleeps: to
// look each second whether there is something to do would cost more than the probes.
func (s *scraper) next(now time.Time) time.Time {
	if !s.wanted(s.settings.Load()) {
		return time.Time{}
	}
	if due := again(now, scrapeInterval); due.After(s.resume) {
		return due
	}
	return onBeat(s.resume, scrapeInterval/beats)
}

// forget forgets at now what is known of the server's page: another process may be there.
func (s *scraper) forget(now time.Time) {
	s.whole, s.resume = false, time.Time{}
	s.trouble.pause(now)
}

// tick reads a page at now, if one is wanted.
func (s *scraper) tick(ctx context.Context, cfg *Config, now time.Time) {
	if !s.wanted(cfg) {
		s.forget(now)
		return
	}
	if now.Before(s.resume) {
		return
	}
	err := s.scrape(ctx, cfg)
	if ctx.Err() != nil {
		return
	}
	switch {
	case isUnreadable(err):
		s.resume = now.Add(unreadablePause)
	case s.whole:
		s.resume = now.Add(wholePause)
	}
	s.trouble.note(err, now)
}

// scrape asks for a selection of the page first, then for the whole page.
func (s *scraper) scrape(ctx context.Context, cfg *Config) error {
	if !s.whole {
		err := s.read(ctx, cfg, strings.TrimSuffix(cfg.MetricsPath, "/")+engines.Selection)
		if !isUnreadable(err) {
			return err
		}
	}
	err := s.read(ctx, cfg, cfg.MetricsPath)
	s.whole = !isUnreadable(err)
	return err
}

// read reads one page, and tells the server's upstreams their figures.
func (s *scraper) read(ctx context.Context, cfg *Config, target string) error {
	asked := time.Now()
	s.page.Reset()
	status, err := s.get(ctx, target, cfg.Timeout)
	if err != nil {
		return err
	}
	if status != 200 {
		return statusError(status)
	}
	es, err := s.page.Engines()
	if es == nil {
		return err
	}
	upstream.SaidLoads(s.server, func(rank int) load.EngineLoad {
		l := es.Of(rank)
		l.At = asked
		return l
	})
	return err
}

// get requests a page, and writes it to s.page. It uses a connection of the server's pool if there is one.
func (s *scraper) get(ctx context.Context, target string, timeout time.Duration) (status int, err error) {
	conn := s.server.TakeIdle(time.Now(), transport.Taker{})
	if conn == nil {
		if conn, err = s.server.Dial(ctx, timeout); err != nil {
			return 0, err
		}
	}
	unbind := context.AfterFunc(ctx, conn.Abort)
	conn.Send(headOf(s.server, target), transport.Body{}, time.Now())
	answer, err := conn.Receive(s.buf, timeout, nil)
	if err == nil {
		err = conn.StreamBody(&answer, s.buf, maxMetricsBody, timeout, s.page.Write)
	}
	if !unbind() || err != nil {
		conn.Close()
		return answer.Status, err
	}
	conn.Keep(&answer, time.Now())
	return answer.Status, nil
}

// statusError is the status of an answer that is no page.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("it answers %d", int(e)) }

// isUnreadable reports whether err says that the page has no figures at all, and not that it did not come.
func isUnreadable(err error) bool {
	_, is := errors.AsType[statusError](err)
	for _, of := range []error{engines.ErrTooLarge, engines.ErrForeign, engines.ErrMalformed, engines.ErrAbsurd, transport.ErrBodyTooLarge} {
		is = is || errors.Is(err, of)
	}
	return is
}
