package session

import (
	"cmp"
	"slices"
	"strconv"

	"tether/session/pins"
	"tether/upstream"
)

// canonical describes all that the future of the world depends on: two worlds with one description behave alike.
func (w *world) canonical() string {
	d := description{world: w, former: w.former()}
	for i := range worldNames {
		if u := w.upstream(i); u != nil {
			d.upstream(u)
		}
		d.b = append(d.b, '|')
	}
	if x, y := w.upstream(0), w.upstream(1); x != nil && y != nil {
		d.b = append(d.b, byte('1'+cmp.Compare(x.Queue(w.now).Chosen, y.Queue(w.now).Chosen)))
	}
	for s, saved := range w.saved() {
		_, silent, _ := pins.Look(w.router.pins, w.keys[s], w.now)
		d.b = append(d.b, ' ', d.label(w.pinOf(s)), flag(saved), flag(w.makers[s] == 0), flag(silent >= idle))
	}
	first, second := d.request(0), d.request(1)
	d.b = append(append(append(d.b, '\n'), min(first, second)...), max(first, second)...)
	for _, u := range d.former {
		d.upstream(u)
	}
	return string(append(d.b, byte(w.changes), byte(w.begun)))
}

// saved reports which sessions have a lasting pin.
func (w *world) saved() (saved [2]bool) {
	_ = pins.Save(w.router.pins, w.now, func(run []pins.Saved) error {
		for _, p := range run {
			for s := range w.keys {
				saved[s] = saved[s] || p.Key == w.keys[s]
			}
		}
		return nil
	})
	return saved
}

// former are the upstreams that requests know of, and that are configured no longer.
func (w *world) former() (former []*upstream.Upstream) {
	for n := range w.requests {
		c := &w.requests[n]
		if c.phase == absent {
			continue
		}
		for _, m := range c.table() {
			if w.registry.Table().Index(m.Ref()) < 0 && !slices.Contains(former, m.Upstream) {
				former = append(former, m.Upstream)
			}
		}
	}
	slices.SortFunc(former, func(x, y *upstream.Upstream) int { return cmp.Compare(x.Ref(), y.Ref()) })
	return former
}

// description is a description of a world in the making.
type description struct {
	*world
	b      []byte
	former []*upstream.Upstream // that requests know of, and that are configured no longer, the oldest first
}

// label names an upstream.
func (d *description) label(u *upstream.Upstream) byte {
	if u == nil {
		return '-'
	}
	for i := range worldNames {
		if u == d.world.upstream(i) {
			return worldNames[i][0]
		}
	}
	return '0' + byte(slices.Index(d.former, u))
}

func flag(b bool) byte {
	if b {
		return '+'
	}
	return '.'
}

// upstream appends what an upstream is.
func (d *description) upstream(u *upstream.Upstream) {
	f := u.Failures(d.now)
	d.b = append(d.b, byte('0'+u.State().Health()), flag(u.State().Suspect()), flag(u.State().Leaving()), flag(u.State().LeavingConfirmed()), byte('0'+d.beliefs[u].drain))
	d.b = strconv.AppendFloat(append(strconv.AppendFloat(d.b, f.Requests, 'f', 2, 64), ' '), f.Tokens, 'f', 2, 64)
	d.b = append(d.b, byte('0'+u.InFlight()), flag(u.Queue(d.now).Chosen == 0))
}

// request returns what a request is.
func (d *description) request(n int) string {
	c := &d.requests[n]
	if c.phase == absent {
		return ""
	}
	t := &c.route
	pin, last := d.upstreamOf(c, t.pin.to), t.Last()
	var from *upstream.Upstream
	if t.pin.state == moved {
		from = d.upstreamOf(c, t.pin.from)
	}
	b := append([]byte{'\n'}, byte('0'+c.phase), byte('0'+c.session), d.label(pin), byte('0'+t.pin.state), d.label(from), d.label(last), byte('0'+t.outcome),
		flag(t.refused), flag(t.moving), flag(t.candidates.silent >= idle), flag(d.now.Sub(t.pin.used) > recent), flag(t.charged.IsCharged()),
		flag(c.given), flag(d.makers[c.session] == 1+n), d.label(c.pinned), d.label(c.left), d.label(c.refused), d.label(c.from), d.label(c.to))
	for _, m := range c.table() {
		b = append(b, d.label(m.Upstream), flag(slices.Contains(t.candidates.tried, m.Server)))
	}
	return string(b)
}
