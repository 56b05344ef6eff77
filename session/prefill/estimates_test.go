package prefill

import (
	"fmt"
	"testing"
	"time"
)

// Clients cannot make entries: models that were not added share one.
func TestUnknownModelsShareOne(t *testing.T) {
	e := New(Default())
	if e.Of([]byte("a")) != e.Of([]byte("b")) || e.Of(nil) == nil || e.Has([]byte("a")) {
		t.Error("unknown models do not share their figures")
	}
	e.Add("a", start)
	if e.Of([]byte("a")) == e.Of([]byte("b")) || !e.Has([]byte("a")) {
		t.Error("a listed model has no figures of its own")
	}
	kept := e.Of([]byte("a"))
	e.Add("a", start)
	if e.Of([]byte("a")) != kept {
		t.Error("the second Add forgot what was learned")
	}
}

// The number of entries is bounded. A new model takes the place of one that learned nothing for an hour, never that of a configured one.
func TestModelsAreBounded(t *testing.T) {
	e := New(Config{PrefillRate: map[string]float64{"configured": 5_000}})
	for n := range 2 * MaxModels {
		e.Add(fmt.Sprint("model ", n), start)
	}
	count := func() (n int) {
		e.Each(func(string, *Model) { n++ })
		return n
	}
	if n := count(); n != MaxModels {
		t.Errorf("%d models, want %d", n, MaxModels)
	}
	later := start.Add(2 * time.Hour)
	for n := range MaxModels - 1 {
		if n != 7 {
			e.Of(fmt.Appendf(nil, "model %d", n)).LearnRate(10_000, true, time.Second, later)
		}
	}
	e.Add("late", later)
	if e.Has([]byte("model 7")) || !e.Has([]byte("late")) || !e.Has([]byte("configured")) || count() != MaxModels {
		t.Error("the new model did not take the place of the stale one")
	}
	if e.Add("later", later); e.Has([]byte("later")) {
		t.Error("a model took the place of one that learns")
	}
}

// A configured rate is in force whatever is learned, until the configuration drops it.
func TestConfiguredRate(t *testing.T) {
	e := New(Config{PrefillRate: map[string]float64{"a": 5_000}})
	m := e.Of([]byte("a"))
	if e.Of(nil).MeasuredRate() != 0 || m.MeasuredRate() != 5_000 {
		t.Errorf("measured: %v tokens/s of no model, %v of a configured one", e.Of(nil).MeasuredRate(), m.MeasuredRate())
	}
	for n := range 100 {
		m.LearnRate(20_000, true, time.Second, start.Add(time.Duration(n)*time.Second))
	}
	if m.Rate() != 5_000 {
		t.Errorf("%v tokens/s, want the configured 5000", m.Rate())
	}
	e.Configure(Default())
	if got := e.Of([]byte("a")); got != m || got.Rate() < 19_000 || got.Rate() > 21_000 {
		t.Errorf("%v tokens/s, want the learned 20000", got.Rate())
	}
	if m.MeasuredRate() != m.Rate() {
		t.Errorf("%v tokens/s measured, want the learned %v", m.MeasuredRate(), m.Rate())
	}
	e.Configure(Config{PrefillRate: map[string]float64{"a": 7_000, "b": 9_000}})
	if e.Of([]byte("a")).Rate() != 7_000 || e.Of([]byte("b")).Rate() != 9_000 {
		t.Error("the new configuration is not in force")
	}
}

func TestEachIsSorted(t *testing.T) {
	e := New(Default())
	for _, name := range []string{"c", "a", "b"} {
		e.Add(name, start)
	}
	got := ""
	e.Each(func(name string, m *Model) {
		if m != e.Of([]byte(name)) {
			t.Errorf("%s has another model's figures", name)
		}
		got += name
	})
	if got != "abc" {
		t.Error(got)
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	e := New(Default())
	e.Add("a", start)
	name, sum := []byte("a"), 0.
	if n := testing.AllocsPerRun(100, func() {
		m := e.Of(name)
		m.LearnTokens(3_000, 0, 1_000, start)
		m.LearnRate(8_000, true, time.Second, start)
		sum += m.Rate() + float64(m.Tokens(5_000, 1)) + float64(e.Of(nil).Tokens(1, 1))
	}); n != 0 || sum == 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTokens(b *testing.B) {
	e := New(Default())
	e.Add("a model's name", start)
	name := []byte("a model's name")
	var sum int64
	for b.Loop() {
		sum += e.Of(name).Tokens(5_000, 0)
	}
	_ = sum
}
