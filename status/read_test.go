package status

import (
	"strings"
	"testing"
	"time"

	"tether/session/fates"
	"tether/session/identity"
	"tether/session/pins"
	"tether/upstream"
	"tether/upstream/load"
	"tether/upstream/models"
)

// What a server says is shown within limits, and what it does not say is not shown.
func TestView(t *testing.T) {
	m := &tableOf(t, "a").Members[0]
	now := time.Now()
	sessions := pins.NewMap(1000, time.Hour)
	u := view(m, sessions, now)
	if u.Health != "unknown" || u.Running != nil || u.Waiting != nil || u.KVUsage != nil || u.Pinned != 0 || u.Models == nil {
		t.Errorf("%+v", u)
	}
	var list []models.Model
	for range maxModels + 3 {
		list = append(list, models.Model{ID: "<b>" + strings.Repeat("\xff é", 10_000)})
	}
	m.SetModels(models.New(list))
	m.SetHealth(upstream.Up, "probe succeeded")
	m.Drain(false)
	m.SaidLoad(load.EngineLoad{Running: 3, Waiting: load.Unknown, KVUsage: 0.12345, KVCapacity: load.Unknown, At: now})
	sessions.Set(identity.Key{Hi: 1, Lo: 1}, m.Ref(), now)
	sessions.Set(identity.Key{Hi: 2, Lo: 2}, m.Ref(), now.Add(-10*time.Minute))
	u = view(m, sessions, now)
	if u.Health != "up" || !u.Draining || *u.Running != 3 || u.Waiting != nil || *u.KVUsage != 0.123 || u.Pinned != 2 || u.Live != 1 {
		t.Errorf("%+v", u)
	}
	for _, name := range u.Models {
		if len(name) > maxModelName+len("…") || !strings.HasPrefix(name, "<b>\ufffd é") || !strings.HasSuffix(name, "…") {
			t.Errorf("%q", name)
		}
	}
	if m.SetHealth(upstream.TimedOut, ""); len(u.Models)+u.MoreModels != len(list) || len(u.Models) != maxModels || healthWord(m.State()) != "down" {
		t.Errorf("%d models and %d more", len(u.Models), u.MoreModels)
	}
}

// A figure that no answer told is absent, and not 0.
func TestFigures(t *testing.T) {
	none := figures(&counts{requests: 5}, &fates.Counts{})
	if none.Tokens != nil || none.Moved != nil || none.Reported != 0 || none.Saved != nil || none.P50 != nil || none.P99 != nil {
		t.Errorf("%+v", none)
	}
	silent := figures(&counts{}, &fates.Counts{Tokens: [fates.Count]int64{fates.Unknown: 70}})
	if silent.Reported != 0 || silent.Tokens["unknown"] != 70 || len(silent.Tokens) != 1 {
		t.Errorf("%+v", silent)
	}
	tally := fates.NewTally()
	now := time.Now()
	tally.Of("a").Add(&fates.Split{Hit: 10, New: 5}, 1234*time.Millisecond, 0, 0, now)
	tally.Of("b").Add(&fates.Split{Hit: 1, Lost: 7, Cause: fates.Moved, Reason: fates.Spread}, 0, 0, 0, now)
	read := tokensOf(tally, now)
	c := counts{requests: 5}
	c.firstByte[bucketOf(100*time.Millisecond)] = 5
	f := figures(&c, &read.all.minute)
	if f.Reported != 23 || f.Tokens["hit"] != 11 || f.Tokens["moved"] != 7 || f.Moved["spread"] != 7 || *f.Saved != 1.23 || *f.P50 < 91 || *f.P99 > 109 {
		t.Errorf("%+v", f)
	}
	b := read.each["b"]
	if f := figures(&c, &b.total); f.Reported != 8 || f.Saved != nil {
		t.Errorf("%+v", f)
	}
}
