package auth

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
		if got, ok := k.Name([]byte(key)); got != want || ok != (want != "") {
			t.Errorf("%.20q: %q, %v, want %q", key, got, ok, want)
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
	found.add("other", other)
	k.table.Store(found)
	if name, ok := k.Name([]byte("one")); ok {
		t.Errorf("the hash is taken for that of %s", name)
	}
	found.add("one", one)
	if name, _ := k.Name([]byte("one")); name != "one" {
		t.Errorf("the name is %q", name)
	}
}

func TestNameAllocatesNothing(t *testing.T) {
	k, err := open(t, "alice "+hash("a"))
	if err != nil {
		t.Fatal(err)
	}
	right, wrong := []byte("a"), []byte("b")
	if n := testing.AllocsPerRun(100, func() { k.Name(right); k.Name(wrong) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkName(b *testing.B) {
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
		if _, ok := k.Name(key); !ok {
			b.Fatal("unknown")
		}
	}
}
