package auth

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func hash(key string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(key))) }

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, text string) (*Keys, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keys")
	write(t, file, text)
	return Open(file)
}

// nameOf is the name of the owner of a key, "" without one.
func (k *Keys) nameOf(presented string) string {
	if c := k.Find([]byte(presented)); c != nil {
		return c.Name()
	}
	return ""
}

func TestNames(t *testing.T) {
	k, err := open(t, "# who may call\n\nalice "+hash("a-key")+"\r\n \tbob\t"+strings.ToUpper(hash("b-key"))+"  \n"+
		"turning "+hash("old")+" "+hash("new")+"\nlast~!# "+hash("last"))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"a-key": "alice", "b-key": "bob", "old": "turning", "new": "turning", "last": "last~!#",
		"": "", "a-key ": "", "A-key": "", "alice": "", hash("a-key"): "", strings.Repeat("x", 1<<20): "",
	} {
		if got := k.nameOf(key); got != want {
			t.Errorf("%.20q: %q, want %q", key, got, want)
		}
	}
	if got := k.Names(); !slices.Equal(got, []string{"alice", "bob", "turning", "last~!#"}) {
		t.Errorf("%q", got)
	}
}

// A hash that begins like another one is not that one.
func TestSharedPrefix(t *testing.T) {
	one, other := sha256.Sum256([]byte("one")), sha256.Sum256([]byte("one"))
	other[31] ^= 1
	k := &Keys{}
	found := &table{byPrefix: map[uint64][]key{}}
	found.add(&Caller{name: "other"}, other)
	k.table.Store(found)
	if c := k.Find([]byte("one")); c != nil {
		t.Errorf("the hash is taken for that of %s", c.Name())
	}
	found.add(&Caller{name: "one"}, one)
	if name := k.nameOf("one"); name != "one" {
		t.Errorf("the name is %q", name)
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	k, err := open(t, "alice "+hash("a"))
	if err != nil {
		t.Fatal(err)
	}
	right, wrong := []byte("a"), []byte("b")
	if n := testing.AllocsPerRun(100, func() { k.Find(right); k.Find(wrong) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFind(b *testing.B) {
	text := strings.Builder{}
	for n := range maxKeys {
		fmt.Fprintf(&text, "n%d %s\n", n, hash(fmt.Sprint(n)))
	}
	k, err := open(b, text.String())
	if err != nil {
		b.Fatal(err)
	}
	key := []byte("5000")
	for b.Loop() {
		if k.Find(key) == nil {
			b.Fatal("unknown")
		}
	}
}

// A caller that stays keeps its counts over a change of the file and over another file, with the limits that are new.
func TestCountsStay(t *testing.T) {
	now := time.Unix(1e9, 0)
	parsed := func(text string) *table {
		t.Helper()
		found, err := parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	k := &Keys{}
	k.table.Store(parsed("alice " + hash("a") + " max_in_flight=2 requests_per_minute=2\nbob " + hash("b") + " max_in_flight=1").inherit(nil))
	alice, bob := k.Find([]byte("a")), k.Find([]byte("b"))
	if !alice.TakePlace() || !bob.TakePlace() || alice.TakeToken(now) != 0 || alice.TakeToken(now) != 0 || alice.TakeToken(now) == 0 || bob.TakeToken(now) != 0 {
		t.Fatal("the limits of the file do not hold")
	}
	k.table.Store(parsed("alice " + hash("new") + " max_in_flight=1 requests_per_minute=4\ncarol " + hash("c")).inherit(k.table.Load()))
	if k.Find([]byte("a")) != nil || k.Find([]byte("b")) != nil {
		t.Error("former keys are in force")
	}
	other := &Keys{}
	other.table.Store(parsed("alice " + hash("other") + " max_in_flight=1 requests_per_minute=4\nbob " + hash("b") + " max_in_flight=1").inherit(nil))
	other.Inherit(k)
	for _, c := range []*Caller{k.Find([]byte("new")), other.Find([]byte("other"))} {
		if c != alice || c.TakePlace() || c.Wait(now) == 0 {
			t.Error("alice's counts are lost")
		}
	}
	if !other.Find([]byte("b")).TakePlace() {
		t.Error("bob was gone, and is counted all the same")
	}
	alice.LeavePlace()
	if c := other.Find([]byte("other")); !c.TakePlace() || c.TakeToken(now.Add(15*time.Second)) != 0 || c.TakeToken(now.Add(15*time.Second)) == 0 {
		t.Error("alice's new limits do not hold")
	}
}
