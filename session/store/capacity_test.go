package store

import (
	"regexp"
	"strconv"
	"testing"
	"time"

	"tether/session/store/storetest"
)

// How many exceptions a second three processes share, and how much memory the server takes for each.
func BenchmarkExceptions(b *testing.B) {
	b.Run("many at once", func(b *testing.B) { exceptions(b, 20_000) })
	b.Run("one by one", func(b *testing.B) { exceptions(b, 0) })
}

// exceptions shares exceptions, with so many under way at each process.
func exceptions(b *testing.B, underWay int) {
	server := storetest.Start(b, storetest.Programs(b)[0])
	large := func(d *Deps) { d.Max = 10_000_000 }
	url := "redis://" + server.Addr
	all := []*process{run(b, url, large), run(b, url, large), run(b, url, large)}
	memory := func() int {
		m := regexp.MustCompile(`used_memory:(\d+)`).FindStringSubmatch(server.Do(b, "INFO", "memory"))
		n, err := strconv.Atoi(m[1])
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	before := memory()
	b.ResetTimer()
	for n := range b.N {
		all[n%len(all)].move(testKey(n), "vllm-0")
		for p := all[n%len(all)]; (underWay == 0 || n%4096 == 4095) && p.Report(time.Now()).Ledger.Subjects+underWay*len(all) <= n; {
			time.Sleep(50 * time.Microsecond)
		}
	}
	for _, p := range all {
		eventually(b, "all exceptions are known", time.Minute, func() bool { r := p.Report(time.Now()); return r.Ledger.Subjects == b.N && r.Ledger.UnderWay == 0 })
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "exceptions/s")
	b.ReportMetric(float64(memory()-before)/float64(b.N), "B/exception")
	for _, p := range all {
		if r := p.Report(time.Now()); r.Dropped > 0 {
			b.Errorf("%d changes were dropped", r.Dropped)
		}
	}
}
