package fates

import (
	"fmt"
	"sync"
	"testing"
	"time"
	"unsafe"
)

var start = time.Unix(1_000_000, 0)

func TestTally(t *testing.T) {
	tally := NewTally()
	add := func(name string, s Split, after time.Duration) {
		tally.Of(name).Add(&s, time.Duration(s.Hit)*time.Millisecond, s.Expected, s.Expected/2, start.Add(after))
	}
	add("b", Split{Hit: 10, New: 5}, 0)
	add("a", Split{Hit: 100, New: 20, Lost: 30, Cause: Moved, Reason: Spread, Expected: 140}, 0)
	add("a", Split{New: 7, Lost: 1, Cause: Unknown}, 50*time.Second)
	add("c", Split{}, 50*time.Second)
	type row struct {
		name          string
		total, minute Counts
	}
	look := func(after time.Duration) (rows []row) {
		tally.Each(start.Add(after), func(name string, total, minute Counts) { rows = append(rows, row{name, total, minute}) })
		return rows
	}
	all := Counts{Tokens: [Count]int64{100, 27, 30, 0, 0, 1}, Moved: [ReasonCount]int64{Spread: 30}, Saved: 100 * time.Millisecond, Expected: 140, Found: 70}
	rows := look(54 * time.Second)
	if len(rows) != 2 || rows[0] != (row{"a", all, all}) || rows[1].name != "b" || rows[1].minute.Tokens[Hit] != 10 {
		t.Fatalf("%+v", rows)
	}
	if got := all.Reported(); got != 157 {
		t.Errorf("%d tokens reported", got)
	}
	if rows = look(60 * time.Second); rows[0].minute != (Counts{Tokens: [Count]int64{New: 7, Unknown: 1}}) || rows[0].total != all || rows[1].minute != (Counts{}) {
		t.Errorf("after a minute: %+v", rows)
	}
	if rows = look(time.Hour); rows[0].minute != (Counts{}) || rows[0].total != all {
		t.Errorf("after an hour: %+v", rows)
	}
	add("a", Split{New: 1}, time.Hour)
	if rows = look(time.Hour); rows[0].minute.Tokens != [Count]int64{New: 1} {
		t.Errorf("a pause left something behind: %+v", rows[0].minute)
	}
	dropped := tally.Of("a")
	tally.Keep(func(name string) bool { return name == "b" })
	dropped.Add(&Split{New: 1}, 0, 0, 0, start)
	if rows = look(time.Hour); len(rows) != 1 || rows[0].name != "b" {
		t.Errorf("after Keep: %+v", rows)
	}
}

// Prompts of many upstreams at once are all counted.
func TestTallyAtOnce(t *testing.T) {
	tally := NewTally()
	const workers, each = 8, 500
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for n := range each {
				tally.Of(fmt.Sprint("vllm-", (w+n)%3)).Add(&Split{Hit: 2, New: 1}, 0, 0, 0, start.Add(time.Duration(n)*time.Second))
				if n%50 == 0 {
					tally.Each(start, func(string, Counts, Counts) {})
				}
			}
		})
	}
	all.Wait()
	var sum Counts
	tally.Each(start, func(_ string, total, _ Counts) { sum = sum.Plus(&total) })
	if want := (Counts{Tokens: [Count]int64{Hit: 2 * workers * each, New: workers * each}}); sum != want {
		t.Errorf("%+v, want %+v", sum, want)
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	account, s := NewTally().Of("vllm-0"), Split{Hit: 10, New: 5, Lost: 3, Cause: Evicted}
	now := start
	if n := testing.AllocsPerRun(100, func() {
		now = now.Add(time.Second)
		account.Add(&s, time.Second, 0, 0, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What a common prompt changes is in the first cache line of an account, and accounts begin with one.
func TestCommonPromptChangesOneLine(t *testing.T) {
	const line = 64
	var a Account
	if end := unsafe.Offsetof(a.total) + unsafe.Offsetof(a.total.Tokens) + unsafe.Sizeof(a.total.Tokens[0])*uintptr(New+1); end > line {
		t.Errorf("it changes %d bytes", end)
	}
	if size := unsafe.Sizeof(a); size%line != 0 {
		t.Errorf("an account has %d bytes", size)
	}
}

func BenchmarkAdd(b *testing.B) {
	account, s := NewTally().Of("vllm-0"), Split{Hit: 10, New: 5, Lost: 3, Cause: Evicted}
	for b.Loop() {
		account.Add(&s, time.Second, 0, 0, start)
	}
}
