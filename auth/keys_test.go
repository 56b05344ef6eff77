package auth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
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
	table := &keys{byPrefix: map[uint64][]key{}}
	table.add("other", other)
	k.inForce.Store(table)
	if name, ok := k.Name([]byte("one")); ok {
		t.Errorf("it is %s's", name)
	}
	table.add("one", one)
	if name, _ := k.Name([]byte("one")); name != "one" {
		t.Errorf("it is %q's", name)
	}
}

// Every problem names its line, and shows nothing of it: people write keys where hashes belong.
func TestBadFiles(t *testing.T) {
	const secret = "hunter2"
	a := "alice " + hash("a") + "\n"
	many := strings.Builder{}
	for n := range maxKeys + 1 {
		fmt.Fprintf(&many, "n%d %064x\n", n, n)
	}
	for text, want := range map[string]string{
		"":                                       "no key in it, want a line NAME SHA-256 for each",
		"# alice " + hash("a"):                   "no key in it, want a line NAME SHA-256 for each",
		a + secret:                               "line 2: want NAME and one or 2 SHA-256 in hex",
		"x 1 2 3":                                "line 1: want NAME and one or 2 SHA-256 in hex",
		"\n\nbob " + secret:                      "line 3: want a SHA-256 in hex, 64 digits, and never the key itself",
		"bob " + strings.Repeat("z", 64):         "line 1: want a SHA-256 in hex, 64 digits, and never the key itself",
		"bob " + hash("b") + " " + secret:        "line 1: want a SHA-256 in hex, 64 digits, and never the key itself",
		hash(secret) + "  -":                     "line 1: want a SHA-256 in hex, 64 digits, and never the key itself",
		a + "# \nalice " + hash("b"):             "line 3: the name is that of line 1 already",
		a + "bob " + hash("a"):                   "line 2: the hash is in line 1 already",
		"bob " + hash("a") + " " + hash("a"):     "line 1: the hash is in line 1 already",
		"zoë " + hash("a"):                       "line 1: want a name of 1..64 bytes of visible ASCII",
		"\ufeffbob " + hash("a"):                 "line 1: want a name of 1..64 bytes of visible ASCII",
		"a\x00b " + hash("a"):                    "line 1: want a name of 1..64 bytes of visible ASCII",
		strings.Repeat("n", 65) + " " + hash(""): "line 1: want a name of 1..64 bytes of visible ASCII",
		many.String():                            "line 10001: want at most 10000 names",
	} {
		_, err := open(t, text)
		if err == nil || !strings.HasSuffix(err.Error(), `/keys": `+want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%.40q\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	huge, pipe := filepath.Join(dir, "huge"), filepath.Join(dir, "pipe")
	write(t, huge, strings.Repeat("#\n", maxFile/2)+"#")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		filepath.Join(dir, "none"): "is not there, want a file with API keys: write it, or leave the key out",
		dir:                        "is no regular file, want a file with API keys",
		pipe:                       "is no regular file, want a file with API keys",
		huge:                       "has more than 4096 KiB, want a file with API keys",
		"\x00":                     "cannot be read: invalid argument, want a file with API keys",
	} {
		if _, err := Open(file); err == nil || err.Error() != fmt.Sprintf("%q %s", file, want) {
			t.Errorf("got  %v\nwant %q %s", err, file, want)
		}
	}
}

// A change is in force after two looks that found the same. A bad one is told once and changes nothing, nor does one
// that is half written.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "keys")
		write(t, file, "alice "+hash("1"))
		k, err := Open(file)
		if err != nil {
			t.Fatal(err)
		}
		told := make(chan error, 10)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Run(ctx, func(err error) { told <- err }) }()
		// looks lets that many looks pass and checks what was told since, and whose the key is.
		looks := func(n int, want []string, keyIs ...string) {
			t.Helper()
			time.Sleep(time.Duration(n) * lookEvery)
			synctest.Wait()
			var got []string
			for len(told) > 0 {
				if err := <-told; err == nil {
					got = append(got, "taken")
				} else {
					got = append(got, strings.TrimPrefix(err.Error(), fmt.Sprintf("%q", file)))
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("told %q, want %q", got, want)
			}
			for i := 0; i < len(keyIs); i += 2 {
				if name, _ := k.Name([]byte(keyIs[i])); name != keyIs[i+1] {
					t.Errorf("key %s is %q's, want %q", keyIs[i], name, keyIs[i+1])
				}
			}
		}
		looks(5, nil, "1", "alice")
		write(t, file, "alice "+hash("2")+"\nbob "+hash("3"))
		looks(1, nil, "1", "alice", "2", "")
		looks(1, []string{"taken"}, "1", "", "2", "alice", "3", "bob")
		looks(5, nil)
		// A wrong one, for long.
		write(t, file, "alice 2")
		looks(5, []string{": line 1: want a SHA-256 in hex, 64 digits, and never the key itself"}, "2", "alice", "3", "bob")
		write(t, file, "")
		looks(5, []string{": no key in it, want a line NAME SHA-256 for each"}, "2", "alice")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		looks(5, []string{" is not there, want a file with API keys: write it, or leave the key out"}, "2", "alice")
		// One that is being written, in pieces that would be files by themselves.
		write(t, file, "bob "+hash("3"))
		looks(1, nil, "2", "alice")
		write(t, file, "bob "+hash("3")+"\nalice "+hash("2"))
		looks(1, nil, "2", "alice")
		looks(1, []string{"taken"}, "2", "alice", "3", "bob")
		// Back to one that was there before.
		write(t, file, "alice "+hash("1"))
		looks(2, []string{"taken"}, "1", "alice", "2", "", "3", "")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
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

// FuzzParse: no file may panic, and none shows in its error what is in it.
func FuzzParse(f *testing.F) {
	f.Add("alice " + hash("a") + "\n# bob\n")
	f.Add("secretsecret\n")
	f.Add("a 00 11")
	f.Fuzz(func(t *testing.T, text string) {
		found, err := parse([]byte(text))
		if (found == nil) == (err == nil) {
			t.Fatal("neither keys nor an error, or both")
		}
		if err == nil && (len(found.names) == 0 || len(found.names) > maxKeys) {
			t.Errorf("%d names", len(found.names))
		}
	})
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
