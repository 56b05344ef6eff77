package warm

import "testing"

func TestLedger(t *testing.T) {
	var l ledger
	const now = 1_000_000_000
	l.add(now, 5, now)
	l.add(now-60_000, 7, now)
	l.add(now-slots*slotMs, 1_000, now) // too old
	l.add(now+60_000, 1_000, now)       // later than now
	for _, c := range []struct{ from, now, want int64 }{
		{now, now, 5}, {now - 60_000, now, 12}, {0, now, 12}, {now - 60_000, now + 300_000, 12}, {0, now + slots*slotMs - 60_000, 5}, {0, now + slots*slotMs, 0}, {0, now, 0},
	} {
		if got := l.since(c.from, c.now); got != c.want {
			t.Errorf("since %d at %d: %d, want %d", c.from-now, c.now-now, got, c.want)
		}
	}
}
