package engine

import (
	"testing"
	"testing/synctest"
	"time"
)

// Requests spread over the ranks by load, and equally loaded ranks take turns.
func TestLeastLoadedRank(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRanks(3, Config{BlockSize: 16, CacheBlocks: 16, MaxSeqs: 1, PrefillPerToken: time.Second}, func() {})
		all := r.Engines()
		for i := range 6 {
			if e := r.LeastLoaded(); e != all[i%3] {
				t.Errorf("request %d: not the engine of rank %d", i, i%3)
			}
		}
		for range 2 { // one runs, one waits
			go func() { _, _ = all[0].Run(t.Context(), oneJob(ids(4, 0), 1), func(Step) error { return nil }) }()
		}
		synctest.Wait()
		for range 6 {
			if r.LeastLoaded() == all[0] {
				t.Error("a busy engine is chosen while others are idle")
			}
		}
		if running, waiting := r.Load(); running != 1 || waiting != 1 {
			t.Errorf("%d run, %d wait, want 1 and 1", running, waiting)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if s := r.Stats(); s.Finished != 2 || s.PromptTokens != 8 {
			t.Errorf("stats %+v, want 2 finished requests of 4 tokens each", s)
		}
	})
}
