package auth

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"tether/files"
)

// Every problem names its line and shows no part of it: people write keys where hashes belong.
func TestBadFiles(t *testing.T) {
	const secret = "hunter2"
	a := "alice " + hash("a") + "\n"
	many := strings.Builder{}
	for n := range maxKeys + 1 {
		fmt.Fprintf(&many, "n%d %064x\n", n, n)
	}
	for text, want := range map[string]string{
		"":                                                       "no key in it, want a line NAME SHA-256 for each",
		"# alice " + hash("a"):                                   "no key in it, want a line NAME SHA-256 for each",
		a + secret:                                               "line 2: want NAME and one or 2 SHA-256 in hex",
		"x 1 2 3":                                                "line 1: want NAME and one or 2 SHA-256 in hex",
		"\n\nbob " + secret:                                      "line 3: want a SHA-256 in hex, 64 digits, and never the key itself",
		"bob " + strings.Repeat("z", 64):                         "line 1: want a SHA-256 in hex, 64 digits, and never the key itself",
		"bob " + hash("b") + " " + secret:                        "line 1: want a SHA-256 in hex, 64 digits, and never the key itself",
		hash(secret) + "  -":                                     "line 1: want a SHA-256 in hex, 64 digits, and never the key itself",
		a + "# \nalice " + hash("b"):                             "line 3: the name is that of line 1 already",
		a + "bob " + hash("a"):                                   "line 2: the hash is in line 1 already",
		"bob " + hash("a") + " " + hash("a"):                     "line 1: the hash is in line 1 already",
		"zoë " + hash("a"):                                       "line 1: want a name of 1..64 bytes of visible ASCII",
		"\ufeffbob " + hash("a"):                                 "line 1: want a name of 1..64 bytes of visible ASCII",
		"a\x00b " + hash("a"):                                    "line 1: want a name of 1..64 bytes of visible ASCII",
		strings.Repeat("n", 65) + " " + hash(""):                 "line 1: want a name of 1..64 bytes of visible ASCII",
		"x " + hash("x") + " max_in_flight=0":                    "line 1: " + errLimit.Error(),
		"x " + hash("x") + " max_in_flight=1000001":              "line 1: " + errLimit.Error(),
		"x " + hash("x") + " max_in_flight=+5":                   "line 1: " + errLimit.Error(),
		"x " + hash("x") + " requests_per_minute=":               "line 1: " + errLimit.Error(),
		"x " + hash("x") + " max_in_flight=1 =2":                 "line 1: " + errLimit.Error(),
		"x " + hash("x") + " rpm=5":                              "line 1: " + errLimit.Error(),
		"x " + hash("x") + " aGFudGVyMg==":                       "line 1: " + errLimit.Error(), // a key in base64
		"x " + hash("x") + " max_in_flight=1 " + secret:          "line 1: " + errLimit.Error(),
		"x " + hash("x") + strings.Repeat(" max_in_flight=1", 2): "line 1: " + errLimit.Error(),
		"x max_in_flight=1":                                      "line 1: want NAME and one or 2 SHA-256 in hex",
		many.String():                                            "line 10001: want at most 10000 names",
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

// New contents are in force after two looks that found the same. Bad contents are reported once and change nothing, and
// nor do half-written ones.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = time.Second
		file := filepath.Join(t.TempDir(), "keys")
		write(t, file, "alice "+hash("1"))
		k, err := Open(file)
		if err != nil {
			t.Fatal(err)
		}
		told := make(chan error, 10)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- files.Follow(ctx, every, func() []files.Followed {
				return []files.Followed{{Follower: k.Files(), OnChange: func(err error) { told <- err }}}
			})
		}()
		// looks lets n looks pass, and checks what was reported meanwhile and the names of the keys.
		looks := func(n int, want []string, keyIs ...string) {
			t.Helper()
			time.Sleep(time.Duration(n) * every)
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
				if name := k.nameOf(keyIs[i]); name != keyIs[i+1] {
					t.Errorf("key %s is %q's, want %q", keyIs[i], name, keyIs[i+1])
				}
			}
		}
		looks(5, nil, "1", "alice")
		write(t, file, "alice "+hash("2")+"\nbob "+hash("3"))
		looks(1, nil, "1", "alice", "2", "")
		looks(1, []string{"taken"}, "1", "", "2", "alice", "3", "bob")
		looks(5, nil)
		// Bad contents that stay.
		write(t, file, "alice 2")
		looks(5, []string{": line 1: want a SHA-256 in hex, 64 digits, and never the key itself"}, "2", "alice", "3", "bob")
		write(t, file, "")
		looks(5, []string{": no key in it, want a line NAME SHA-256 for each"}, "2", "alice")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		looks(5, []string{" is not there, want a file with API keys: write it, or leave the key out"}, "2", "alice")
		// A file that is being written, in pieces that are valid by themselves.
		write(t, file, "bob "+hash("3"))
		looks(1, nil, "2", "alice")
		write(t, file, "bob "+hash("3")+"\nalice "+hash("2"))
		looks(1, nil, "2", "alice")
		looks(1, []string{"taken"}, "2", "alice", "3", "bob")
		// Back to earlier contents.
		write(t, file, "alice "+hash("1"))
		looks(2, []string{"taken"}, "1", "alice", "2", "", "3", "")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Limits stand after the hashes, in any order. A name without them has none.
func TestLimitsOfNames(t *testing.T) {
	k, err := open(t, "none "+hash("1")+"\nboth "+hash("2")+" "+hash("3")+" requests_per_minute=600 max_in_flight=1000000\none\t"+hash("4")+"\tmax_in_flight=7")
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int64{"1": 0, "2": 1_000_000, "3": 1_000_000, "4": 7} {
		if got := k.Find([]byte(key)).MaxInFlight(); got != want {
			t.Errorf("key %s: max_in_flight %d, want %d", key, got, want)
		}
	}
	now := time.Unix(1e9, 0)
	for range 600 {
		if k.Find([]byte("2")).TakeToken(now) != 0 || k.Find([]byte("1")).TakeToken(now) != 0 {
			t.Fatal("refused within the limit")
		}
	}
	if wait := k.Find([]byte("3")).Wait(now); wait != 100*time.Millisecond {
		t.Errorf("both keys of a name share its rate: want a wait of 100ms, got %v", wait)
	}
}

// FuzzParse: parse never panics, and returns either keys or an error.
func FuzzParse(f *testing.F) {
	f.Add("alice " + hash("a") + "\n# bob\n")
	f.Add("secretsecret\n")
	f.Add("a 00 11")
	f.Add("a " + hash("a") + " max_in_flight=1 requests_per_minute=60")
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
